//! The events that the platform sends, and their fields.

use serde_json::{Map, Value};

use super::fields::Field;
use crate::model::Extra;

/// Declares the type of one event.
macro_rules! event {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            /// All other fields.
            pub extra: Extra,
        }

        impl $name {
            pub(super) fn fits(_fields: &Map<String, Value>) -> bool {
                true $(&& <$type as Field>::fits(_fields, $key))*
            }

            pub(super) fn take(mut fields: Map<String, Value>) -> Self {
                $(let $field = <$type as Field>::take(&mut fields, $key);)*
                let extra = std::mem::take(&mut fields);
                Self { $($field,)* extra }
            }

            pub(super) fn put(&self, fields: &mut Map<String, Value>) {
                $(self.$field.put(fields, $key);)*
                fields.extend(self.extra.clone());
            }
        }
    };
}

event! {
    /// What the agent is doing.
    Status {
        /// Such as `thinking`.
        status: Option<String> = "status",
    }
}

event! {
    /// About the turn itself: its thread, what it used so far.
    Meta {
        /// The thread's id.
        thread_id: Option<String> = "thread_id",
        /// What was used so far.
        usage: Option<Value> = "usage",
    }
}

event! {
    /// A piece of the answer.
    Token {
        /// The piece.
        text: String = "text",
    }
}

event! {
    /// A piece of what the agent thinks.
    Thinking {
        /// The piece.
        text: String = "text",
    }
}

event! {
    /// One message ends and another begins.
    MessageBoundary {}
}

event! {
    /// A message was stored.
    MessagePersisted {
        /// The message's id.
        message_id: String = "messageId",
    }
}

event! {
    /// The agent calls a tool.
    ToolCall {
        /// The tool.
        name: String = "name",
        /// Its arguments.
        params: Option<Value> = "params",
        /// What its result will be known by.
        call_id: Option<String> = "callId",
    }
}

event! {
    /// A tool answered.
    ToolResult {
        /// The tool.
        name: String = "name",
        /// What it answered.
        result: Option<Value> = "result",
        /// The call that it answers.
        call_id: Option<String> = "callId",
        /// How it may be shown.
        display: Option<Value> = "display",
    }
}

event! {
    /// The agent waits for somebody to agree; see [`Approvals::resolve`](crate::Approvals::resolve).
    ApprovalNeeded {
        /// The approval's id.
        approval_id: String = "approvalId",
        /// What the agent wants to do.
        action: Option<String> = "action",
        /// What there is to know about it.
        details: Option<Value> = "details",
    }
}

event! {
    /// A background operation moved on.
    JobUpdate {
        /// Its id.
        job_id: Option<String> = "jobId",
        /// How it is.
        status: Option<String> = "status",
        /// What came out of it.
        output: Option<Value> = "output",
    }
}

event! {
    /// A result in the form that was asked for.
    StructuredOutput {
        /// The result.
        object: Option<Value> = "object",
    }
}

event! {
    /// An artifact begins.
    ArtifactStart {
        /// Its id.
        artifact_id: Option<String> = "artifactId",
        /// What its revisions have in common.
        artifact_key: Option<String> = "artifactKey",
        /// What it is, such as `markdown` or `code`.
        artifact_kind: Option<String> = "kind",
        /// Its title.
        title: Option<String> = "title",
        /// The language it is written in.
        language: Option<String> = "language",
    }
}

event! {
    /// A piece of an artifact.
    ArtifactDelta {
        /// The artifact's id.
        artifact_id: Option<String> = "artifactId",
        /// The piece.
        chunk: String = "chunk",
    }
}

event! {
    /// An artifact is complete.
    ArtifactCommitted {
        /// Its id.
        artifact_id: Option<String> = "artifactId",
        /// What its revisions have in common.
        artifact_key: Option<String> = "artifactKey",
        /// Its title.
        title: Option<String> = "title",
        /// The whole of it.
        final_content: String = "finalContent",
    }
}

event! {
    /// An artifact failed.
    ArtifactError {
        /// Its id.
        artifact_id: Option<String> = "artifactId",
        /// What kind of failure it is.
        code: Option<String> = "code",
        /// What happened.
        message: Option<String> = "message",
    }
}

event! {
    /// Something in the turn looks unsafe.
    SafetyFlags {
        /// What was found.
        flags: Option<Value> = "flags",
    }
}

event! {
    /// Something failed.
    ErrorEvent {
        /// What happened.
        message: Option<String> = "message",
        /// What kind of failure it is.
        code: Option<String> = "code",
    }
}

event! {
    /// The turn is over.
    Done {
        /// What it used.
        usage: Option<Value> = "usage",
        /// Whether it was stopped before its end. A turn that this client cancelled ends with `Some(true)`.
        stopped: Option<bool> = "stopped",
    }
}

impl ErrorEvent {
    /// What happened, in words.
    pub fn text(&self) -> &str {
        let text = self.message.as_deref().or_else(|| self.extra.get("error")?.as_str());
        text.or(self.code.as_deref()).unwrap_or("the platform gives no reason")
    }
}
