//! What all connections of one host share.

#[cfg(feature = "http")]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError, RwLock};
#[cfg(feature = "http")]
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::coordinator::{Coordinator, RoutedCall};
use super::events::Events;
use super::outbox::{Answer, Outbox};
use super::{HostConfig, HostEvent};
use crate::intake::{Intake, shorten};
use crate::observe;
use crate::run::{Admitted, Dispatcher, Finished, Sink};
use crate::verify::SecretSource;
use crate::wire::{ConnectUrl, Scope};

/// How often, at most, the secret is read again because a signature is wrong.
#[cfg(feature = "http")]
const READ_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) url: ConnectUrl,
    pub(super) secret: SecretSource,
    pub(super) config: HostConfig,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) intake: Intake,
    pub(super) events: Events,
    pub(super) outbox: Outbox,
    /// What the latest `welcome` said; before it, what the configuration says.
    pub(super) scope: RwLock<Scope>,
    pub(super) shutdown: CancellationToken,
    pub(super) coordinator: Option<Arc<dyn Coordinator>>,
    /// Whether this process may hold the connection.
    pub(super) lead: watch::Sender<bool>,
    /// When the secret was read last because a signature was wrong.
    #[cfg(feature = "http")]
    pub(super) read_again: Mutex<Option<Instant>>,
}

impl Shared {
    /// What runs the tools.
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        self.intake.dispatcher()
    }

    /// Where this host belongs, as far as that is known.
    #[cfg(feature = "http")]
    pub(crate) fn scope(&self) -> Scope {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_scope(&self, scope: Scope) {
        *self.scope.write().unwrap_or_else(PoisonError::into_inner) = scope;
    }

    /// Decides where an admitted call runs. Returns it if that is here.
    pub(crate) fn place(self: &Arc<Self>, call: Admitted) -> Option<Admitted> {
        match &self.coordinator {
            None => Some(call),
            Some(coordinator) => {
                coordinator.place(RoutedCall::new(call, self)).and_then(RoutedCall::into_inner)
            }
        }
    }

    /// Reports a call that does not run: to the log, the metrics and the events.
    pub(crate) fn note_refusal(&self, call_id: &str, tool: Option<&str>, reason: &'static str) {
        tracing::warn!(call_id = shorten(call_id), tool = tool.map(shorten), reason, "a call is refused");
        observe::call_refused(reason);
        let tool = tool.map(str::to_owned);
        self.events.tell(HostEvent::CallRefused { call_id: call_id.to_owned(), tool, reason });
    }

    /// Reads the secret again, unless that was done a moment ago or may take long: it may have been rotated, and the
    /// WebSocket, which would say so, may be the one that is broken. Returns whether another try makes sense.
    #[cfg(feature = "http")]
    pub(crate) fn read_secret_again(&self) -> bool {
        if self.secret.is_slow() {
            return false;
        }
        let mut last = self.read_again.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < READ_AGAIN) {
            return false;
        }
        *last = Some(Instant::now());
        match self.secret.load() {
            Ok(secret) => {
                self.intake.verifier().replace_secret(&secret);
                true
            }
            Err(error) => {
                tracing::warn!("the secret cannot be read again: {error}");
                false
            }
        }
    }

    /// Hands answers that this process may not send to the coordinator.
    pub(super) fn yield_answers(&self) {
        if let Some(coordinator) = &self.coordinator
            && !*self.lead.borrow()
        {
            let answers = self.outbox.take_all();
            if !answers.is_empty() {
                coordinator.keep(answers.into_iter().map(Into::into).collect());
            }
        }
    }
}

/// Waits until the lead is `wanted`.
pub(super) async fn becomes(lead: &mut watch::Receiver<bool>, wanted: bool) {
    // An error says that the host is gone, and whoever waits with it.
    let _ = lead.wait_for(|lead| *lead == wanted).await;
}

impl Sink for Shared {
    /// The answers are in the outbox before the calls give up their places, so that a host without calls in flight
    /// has every answer there; and before the calls count as answered, so that nothing else is answered under the id
    /// of a running call.
    fn finished(&self, calls: &mut Vec<Finished>) {
        let answers: Vec<Answer> = calls
            .iter_mut()
            .map(|call| {
                let frame = self.intake.answer(call).frame;
                Answer::new(Arc::clone(&call.call_id), frame.into(), call.arrived)
            })
            .collect();
        let now = Instant::now();
        let guard = self.intake.remember(answers.iter().map(Answer::texts), now);
        self.outbox.push_all(answers, now);
        drop(guard);
        self.yield_answers();
    }
}
