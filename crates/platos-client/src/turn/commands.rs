//! What a reader says to the platform during a turn, over the turn's own connection.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::check_id;
use crate::model::Decision;

/// How long the platform may take to say that it has a decision, before it is told by a request.
const TIME: Duration = Duration::from_secs(5);

/// How many decisions may wait to be sent.
const WAITING: usize = 16;

/// A decision, and where its acknowledgement goes.
pub(super) struct Command {
    pub(super) approval_id: String,
    pub(super) payload: Value,
    acknowledged: oneshot::Sender<bool>,
}

/// The reader's end.
#[derive(Debug, Clone)]
pub(super) struct Commands(mpsc::Sender<Command>);

/// The task's end.
pub(super) struct Inbox {
    commands: mpsc::Receiver<Command>,
    /// Sent, and not yet acknowledged.
    pending: HashMap<String, oneshot::Sender<bool>>,
}

impl Commands {
    pub(super) fn new() -> (Self, Inbox) {
        let (sender, commands) = mpsc::channel(WAITING);
        (Self(sender), Inbox { commands, pending: HashMap::new() })
    }

    /// Tells the platform what was decided: over the turn's socket where there is one and it can carry the decision, by
    /// a request otherwise. To say it twice does no harm.
    pub(super) async fn resolve(
        &self,
        client: &PlatosClient,
        approval_id: &str,
        decision: Decision,
    ) -> Result<(), Error> {
        check_id("approval id", approval_id)?;
        // A socket cannot carry arguments.
        if decision.arguments().is_none() && self.by_socket(approval_id, &decision).await {
            return Ok(());
        }
        client.approvals().resolve(approval_id, decision).await.map(drop)
    }

    async fn by_socket(&self, approval_id: &str, decision: &Decision) -> bool {
        let mut payload = json!({"approvalId": approval_id, "approved": decision.is_approval()});
        if let Some(reason) = decision.reason() {
            payload["comment"] = reason.into();
        }
        let (acknowledged, heard) = oneshot::channel();
        let command = Command { approval_id: approval_id.to_owned(), payload, acknowledged };
        self.0.try_send(command).is_ok() && matches!(timeout(TIME, heard).await, Ok(Ok(true)))
    }
}

impl Inbox {
    /// The next decision to send. Can be abandoned at any time without losing one.
    pub(super) async fn next(&mut self) -> Option<Command> {
        self.commands.recv().await
    }

    /// A decision is on its way.
    pub(super) fn sent(&mut self, command: Command) {
        self.pending.insert(command.approval_id, command.acknowledged);
    }

    /// The platform has a decision, or refuses it.
    pub(super) fn answered(&mut self, approval_id: &str, is_taken: bool) {
        if let Some(acknowledged) = self.pending.remove(approval_id) {
            let _ = acknowledged.send(is_taken);
        }
    }

    /// The connection is gone, and all acknowledgements with it.
    pub(super) fn broke(&mut self) {
        self.pending.clear();
    }

    /// There is no socket: decisions go by requests.
    pub(super) fn close(&mut self) {
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
    }
}
