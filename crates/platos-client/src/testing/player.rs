//! Plays the script of a turn, as far as the connection lasts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::script::Step;
use super::store::{NOW, Shared, Turn};

/// What goes to the connection.
pub(super) enum Out {
    Text(String),
    Binary(Vec<u8>),
    /// The connection ends, without a word.
    Drop,
    /// The connection goes on, without a word.
    Mute,
}

/// The connection is gone.
pub(super) struct Gone;

/// One turn on one connection.
pub(super) struct Player {
    pub(super) shared: Arc<Shared>,
    pub(super) thread_id: String,
    pub(super) namespace: String,
    pub(super) out: mpsc::Sender<Out>,
}

impl Player {
    pub(super) async fn emit(&self, name: &str, data: &Value) -> Result<(), Gone> {
        let frame = crate::socket::event(&self.namespace, name, data);
        self.out.send(Out::Text(frame)).await.map_err(|_| Gone)
    }

    fn turn<T>(&self, change: impl FnOnce(&mut Turn) -> T) -> Option<T> {
        self.shared.write(|store| store.turns.get_mut(&self.thread_id).map(change))
    }

    /// From where the turn stands. After `resume_stream`, what is to be replayed comes first.
    pub(super) async fn play(self, resumed: bool) {
        let again = if resumed { self.turn(Turn::resumed).unwrap_or_default() } else { Vec::new() };
        for event in again {
            if self.emit("agent_event", &event).await.is_err() {
                return;
            }
        }
        while let Some(Some(step)) = self.turn(|turn| turn.steps.pop_front()) {
            if self.step(step).await.is_err() {
                return;
            }
        }
    }

    async fn step(&self, step: Step) -> Result<(), Gone> {
        match step {
            Step::Event(event) => {
                self.turn(|turn| turn.sent.push(event.clone()));
                self.emit("agent_event", &event).await
            }
            Step::Missed(event) => {
                self.turn(|turn| {
                    turn.sent.push(event);
                    turn.missed += 1;
                });
                Ok(())
            }
            Step::Emit(name, data) => self.emit(&name, &data).await,
            Step::Frame(frame) => self.out.send(Out::Text(frame)).await.map_err(|_| Gone),
            Step::Binary(bytes) => self.out.send(Out::Binary(bytes)).await.map_err(|_| Gone),
            Step::Pause(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Step::Drop => self.end(Out::Drop).await,
            Step::Disconnect => self.end(Out::Text(crate::socket::disconnect(&self.namespace))).await,
            Step::Mute => self.end(Out::Mute).await,
            Step::Approval { approval, approved, rejected } => {
                self.approval(approval, approved, rejected).await
            }
            Step::Repeat { event, times, per_second } => self.repeat(&event, times, per_second).await,
        }
    }

    /// The last word on this connection.
    async fn end(&self, out: Out) -> Result<(), Gone> {
        let _ = self.out.send(out).await;
        Err(Gone)
    }

    async fn approval(
        &self,
        mut approval: Value,
        approved: Vec<Step>,
        rejected: Vec<Step>,
    ) -> Result<(), Gone> {
        let id = approval["id"].as_str().unwrap_or_default().to_owned();
        let event = json!({
            "type": "approval_needed", "approvalId": id, "action": approval["question"],
            "threadId": self.thread_id,
        });
        approval["threadId"] = self.thread_id.as_str().into();
        approval["createdAt"] = NOW.into();
        self.shared.write(|store| {
            if store.find("approvals", &id).is_none() {
                store.add("approvals", approval);
            }
        });
        self.turn(|turn| turn.sent.push(event.clone()));
        self.emit("agent_event", &event).await?;
        let decided = self.shared.wait_for(|store| {
            let status = store.find("approvals", &id)?["status"].as_str()?;
            (status != "pending").then(|| status == "approved")
        });
        let next = if decided.await { approved } else { rejected };
        self.turn(|turn| {
            let rest = std::mem::take(&mut turn.steps);
            turn.steps = next.into_iter().chain(rest).collect::<VecDeque<_>>();
        });
        Ok(())
    }

    async fn repeat(&self, event: &Value, times: u64, per_second: Option<u32>) -> Result<(), Gone> {
        let frame = crate::socket::event(&self.namespace, "agent_event", event);
        let began = tokio::time::Instant::now();
        for sent in 0..times {
            if let Some(rate) = per_second.filter(|_| sent % 64 == 0) {
                tokio::time::sleep_until(began + Duration::from_secs_f64(sent as f64 / f64::from(rate)))
                    .await;
            }
            self.out.send(Out::Text(frame.clone())).await.map_err(|_| Gone)?;
        }
        Ok(())
    }
}
