//! The events that the platform sends, and their fields.

use std::time::Duration;

use serde_json::{Map, Number, Value};

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
        /// The agent's id.
        agent_id: Option<String> = "agent_id",
        /// Whether the turn goes on by itself, whoever listens.
        durable: Option<bool> = "durable",
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
        /// The message's id, which it can be rated by.
        message_id: String = "messageId",
        /// The thread's id.
        thread_id: Option<String> = "threadId",
        /// What the turn cost, in cents.
        cost_cents: Option<Number> = "costCents",
        /// How many tokens went in.
        input_tokens: Option<u64> = "inputTokens",
        /// How many tokens came out.
        output_tokens: Option<u64> = "outputTokens",
        /// How many tokens it were.
        total_tokens: Option<u64> = "totalTokens",
        /// The message that this one replies to.
        reply_to_message_id: Option<String> = "replyToMessageId",
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
        /// The agent's id.
        agent_id: Option<String> = "agentId",
        /// The user whose turn it is.
        requested_by: Option<String> = "requestedBy",
    }
}

event! {
    /// Somebody decided about an approval, or nobody did in time.
    ApprovalResolved {
        /// The approval's id.
        approval_id: String = "approvalId",
        /// Where it stands, such as `approved`.
        status: Option<String> = "status",
        /// Who decided.
        responded_by: Option<String> = "respondedBy",
        /// The agent's id.
        agent_id: Option<String> = "agentId",
    }
}

event! {
    /// A run moved on, as older platforms say it.
    RunUpdate {
        /// Its id.
        run_id: Option<String> = "runId",
        /// How it is.
        status: Option<String> = "status",
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
        /// How many attempts it took.
        attempts: Option<u64> = "attempts",
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
        /// Which revision it is.
        revision: Option<u64> = "revision",
        /// What is done, such as `generate`.
        op: Option<String> = "op",
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
        /// What its revisions have in common.
        artifact_key: Option<String> = "artifactKey",
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
        /// What it is, such as `markdown` or `code`.
        artifact_kind: Option<String> = "kind",
        /// Which revision it is.
        revision: Option<u64> = "revision",
        /// The language it is written in.
        language: Option<String> = "language",
        /// Its title.
        title: Option<String> = "title",
        /// The whole of it.
        final_content: String = "finalContent",
        /// When it was stored.
        created_at: Option<String> = "createdAt",
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
    /// The thread has another title, or none any more.
    ThreadRenamed {
        /// The thread's id.
        thread_id: Option<String> = "threadId",
        /// The title.
        title: Option<String> = "title",
    }
}

event! {
    /// The thread was archived.
    ThreadArchived {
        /// The thread's id.
        thread_id: Option<String> = "threadId",
    }
}

event! {
    /// The thread was brought back from the archive.
    ThreadUnarchived {
        /// The thread's id.
        thread_id: Option<String> = "threadId",
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
        /// What kind of failure it is; see [`codes`](crate::codes).
        code: Option<String> = "code",
        /// In how many seconds it may be tried again.
        retry_after_seconds: Option<Number> = "retryAfterSeconds",
        /// Which limit was reached, such as `user_per_minute`.
        scope: Option<String> = "scope",
        /// How much that limit is.
        limit: Option<u64> = "limit",
        /// What does not have the form that was asked for.
        validation_errors: Option<Value> = "validationErrors",
        /// What looks unsafe.
        flags: Option<Value> = "flags",
    }
}

event! {
    /// The turn is over.
    Done {
        /// What it used.
        usage: Option<Value> = "usage",
        /// Whether it was stopped before its end. A turn that this client cancelled ends with `Some(true)`.
        stopped: Option<bool> = "stopped",
        /// Whether the platform broke it off.
        aborted: Option<bool> = "aborted",
    }
}

impl ErrorEvent {
    /// How long the platform asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.retry_after_seconds.as_ref()?.as_f64()?).ok()
    }

    /// What happened, in words.
    pub fn text(&self) -> &str {
        let text = self.message.as_deref().or_else(|| self.extra.get("error")?.as_str());
        text.or(self.code.as_deref()).unwrap_or("the platform gives no reason")
    }
}
