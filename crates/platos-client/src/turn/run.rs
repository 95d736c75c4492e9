//! A turn whose approvals are decided by a callback.

use std::future::Future;

use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::TurnStream;
use super::collect::{Turn, finished, with_text};
use super::commands::Commands;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::event::{AgentEvent, ApprovalNeeded};
use crate::model::{Approval, ApprovalStatus, Decision};

impl TurnStream {
    /// Runs the turn to its end, and asks `decide` about everything that the agent may not do by itself. It may take
    /// its time; the platform may decide on its own meanwhile. Approvals of other threads are left alone.
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// use platos_client::Decision;
    ///
    /// let turn = client.threads().send("thr_1", "Clean up the old orders.");
    /// let turn = turn
    ///     .run(|approval| async move {
    ///         match approval.wish() {
    ///             Some(wish) if wish.contains("delete") => Decision::reject().because("nothing is deleted"),
    ///             _ => Decision::approve(),
    ///         }
    ///     })
    ///     .await?;
    /// println!("{}", turn.text);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`collect`](Self::collect), and when a decision cannot be delivered.
    pub async fn run<F, R>(mut self, decide: F) -> Result<Turn, Error>
    where
        F: Fn(Approval) -> R,
        R: Future<Output = Decision>,
    {
        let (client, commands, thread_id) =
            (self.client.clone(), self.commands.clone(), self.thread_id.clone());
        let (mut turn, mut failed) = (Turn::default(), None);
        let mut decisions = FuturesUnordered::new();
        loop {
            let event = tokio::select! {
                event = self.next() => event,
                decided = decisions.try_next(), if !decisions.is_empty() => {
                    decided?;
                    continue;
                }
            };
            match event {
                Some(Ok(AgentEvent::ApprovalNeeded(needed))) => {
                    decisions.push(resolve(&client, &commands, &thread_id, needed, &decide));
                }
                Some(Ok(event)) => failed = turn.add(event).or(failed),
                Some(Err(error)) => return Err(with_text(error, turn.text)),
                None => return finished(turn, failed),
            }
        }
    }
}

/// Asks about one approval, and tells the platform.
async fn resolve<F, R>(
    client: &PlatosClient,
    commands: &Commands,
    thread_id: &str,
    needed: ApprovalNeeded,
    decide: &F,
) -> Result<(), Error>
where
    F: Fn(Approval) -> R,
    R: Future<Output = Decision>,
{
    let approvals = client.approvals();
    let approval = match approvals.get(&needed.approval_id).await {
        Ok(Some(approval)) => approval,
        // The event says enough to decide.
        Ok(None) | Err(_) => Approval::from(needed),
    };
    if approval.thread_id.as_deref().is_some_and(|id| id != thread_id)
        || approval.status.as_ref().is_some_and(|status| *status != ApprovalStatus::Pending)
    {
        tracing::debug!(approval_id = approval.id, "not for this turn to decide");
        return Ok(());
    }
    let id = approval.key().to_owned();
    let decision = decide(approval).await;
    match commands.resolve(client, &id, decision).await {
        Ok(()) => Ok(()),
        Err(error @ (Error::NotFound(_) | Error::Validation { .. } | Error::Status(_))) => {
            // Somebody else was faster, or nobody was in time. Otherwise the agent would wait for ever.
            let stands = approvals.get(&id).await.ok().flatten().and_then(|approval| approval.status);
            if stands.is_none_or(|status| status == ApprovalStatus::Pending) {
                return Err(error);
            }
            tracing::debug!(approval_id = id, "the approval was resolved already");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

impl From<ApprovalNeeded> for Approval {
    fn from(needed: ApprovalNeeded) -> Self {
        let thread = needed.extra.get("threadId").and_then(|id| id.as_str());
        Self {
            id: needed.approval_id,
            approval_id: None,
            source: None,
            agent_id: needed.agent_id,
            thread_id: thread.map(ToOwned::to_owned),
            requested_by: needed.requested_by,
            action: needed.action,
            details: needed.details,
            tool_name: None,
            args: None,
            status: None,
            created_at: None,
            deadline_at: None,
            resolved_at: None,
            responded_by: None,
            comment: None,
            extra: needed.extra,
        }
    }
}
