//! What the double does by itself: a small agent that shows every kind of event.

use std::time::Duration;

use serde_json::json;

use super::script::Script;

/// How fast it speaks.
const PACE: Duration = Duration::from_millis(15);

fn says(script: Script, text: &str) -> Script {
    text.split_inclusive(' ').fold(script, |script, word| script.token(word).pause(PACE))
}

/// A turn for a message. `number` tells its calls and artifacts from those of other turns.
pub(super) fn turn(message: &str, number: usize) -> Script {
    let script = Script::new().meta().event(json!({"type": "status", "status": "thinking"}));
    let lower = message.to_lowercase();
    let script = if lower.contains("delete") {
        deletion(script, number)
    } else if lower.contains("order") {
        lookup(script, number)
    } else if lower.contains("write") {
        document(script, number)
    } else if lower.contains("slow") {
        let words = "This is a long answer, word by word, so that there is time to stop it. ".repeat(6);
        words.split_inclusive(' ').fold(script, |script, word| script.token(word).pause(PACE * 10))
    } else {
        says(script, &format!("You said: {message}"))
    };
    script.persisted().done()
}

fn lookup(script: Script, number: usize) -> Script {
    let call = format!("call_{number}");
    let script = script
        .event(json!({"type": "tool_call", "name": "lookup_order", "params": {"order_id": "ord-1042"}, "callId": call}))
        .pause(PACE * 10)
        .event(json!({
            "type": "tool_result", "name": "lookup_order", "result": {"pieces": 3, "status": "open"}, "callId": call,
        }));
    says(script, "Order ord-1042 has three pieces and is still open.")
}

fn document(script: Script, number: usize) -> Script {
    let (id, text) = (format!("art_{number}"), "# Notes\n\nThere is nothing to note yet.\n");
    let script = script.event(json!({
        "type": "artifact_start", "artifactId": id, "artifactKey": "notes", "kind": "markdown", "revision": 1,
        "title": "Notes", "op": "generate",
    }));
    let script = text.split_inclusive(' ').fold(script, |script, chunk| {
        script
            .event(
                json!({"type": "artifact_delta", "artifactId": id, "artifactKey": "notes", "chunk": chunk}),
            )
            .pause(PACE)
    });
    let script = script.event(json!({
        "type": "artifact_committed", "artifactId": id, "artifactKey": "notes", "kind": "markdown", "revision": 1,
        "title": "Notes", "finalContent": text,
    }));
    says(script, "I wrote it down.")
}

fn deletion(script: Script, number: usize) -> Script {
    let script = says(script, "That needs an approval. ");
    let yes = says(Script::new(), "It is deleted.");
    let no = says(Script::new(), "Then nothing is deleted.");
    script.approval(&format!("apr_{number}"), "delete order ord-1042", yes, no)
}
