//! How a turn begins, by whichever way its message came.

use std::sync::Arc;

use serde_json::{Value, json};

use super::demo;
use super::double::Generation;
use super::player::{Player, To};
use super::script::Script;
use super::store::Shared;

/// A turn whose message does not get further than this.
fn refused(code: &str, message: &str) -> Script {
    let mut error = json!({"type": "error", "message": message});
    if !code.is_empty() {
        error["code"] = code.into();
    }
    Script::new().event(error).event(json!({"type": "done"}))
}

/// Takes a message; returns who plays the turn, and what.
pub(super) fn begin(
    shared: &Arc<Shared>,
    thread_id: &str,
    data: &Value,
    key: Option<&str>,
    to: To,
) -> (Player, Script) {
    let mut player = Player::new(Arc::clone(shared), thread_id.to_owned(), to);
    player.agent_id = data["agentId"].clone();
    let script = shared.write(|store| {
        if let Some(key) = key
            && store.used_keys.contains(key)
        {
            return refused("already_processed", "The message was sent before.");
        }
        if store.running.contains_key(thread_id) {
            return refused("turn_in_progress", "The thread has a turn that is not done.");
        }
        store.used_keys.extend(key.map(ToOwned::to_owned));
        let text = data["message"].as_str().unwrap_or_default();
        let thread = store.find("threads", thread_id).cloned();
        let is_known = thread.is_some();
        let number = store.things.get("messages").map_or(0, Vec::len) + store.used_keys.len();
        let script = match store.scripts.pop_front() {
            Some(script) => script,
            None if !is_known && store.generation == Generation::Newest => {
                return refused("", "Thread not found");
            }
            None => {
                let on_message = store.on_message.clone();
                on_message.map_or_else(|| demo::turn(text, number), |script| script(data))
            }
        };
        if !is_known && store.generation == Generation::Oldest {
            // It makes a thread up, and says nothing.
            let id = store.id("thr");
            store.add("threads", json!({"id": id, "agentId": data["agentId"], "status": "active"}));
            player.thread_id = id;
        }
        if is_known || store.generation == Generation::Oldest {
            player.message_id = Some(store.message(&player.thread_id, "user", text));
        }
        script
    });
    (player, script)
}
