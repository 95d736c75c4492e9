//! Fault injection.

use std::time::Duration;

use platools::verify::Secret;
use platools::wire::close;

use crate::call::SignedCall;
use crate::call::report::CallReport;
use crate::calling::exchange::Sent;
use crate::entity::ConnectedEntity;
use crate::error::DevError;
use crate::event::Event;
use crate::handle::ConnectionHandle;
use crate::random;
use crate::state::Seat;

/// Faults of one entity's connection in one environment; see [`ConnectedEntity::faults`].
///
/// Faults of a single call are in [`CallBuilder::tamper`](crate::CallBuilder::tamper), those of the
/// whole platform in [`DevPlatform::stop`](crate::DevPlatform::stop) and its neighbours.
#[derive(Debug, Clone)]
pub struct Faults<'a> {
    entity: &'a ConnectedEntity,
}

impl ConnectedEntity {
    /// Faults to inject.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(self)
    }
}

impl<'a> Faults<'a> {
    pub(crate) fn new(entity: &'a ConnectedEntity) -> Self {
        Self { entity }
    }

    /// Drops the TCP connection, without a WebSocket close.
    ///
    /// # Errors
    /// When no host is connected. The same holds for the other faults of a connection.
    pub fn drop_connection(&self) -> Result<(), DevError> {
        self.connection(ConnectionHandle::cut)
    }

    /// Stops reading and writing, while the connection stays open.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn freeze(&self) -> Result<(), DevError> {
        self.connection(ConnectionHandle::freeze)
    }

    /// Reads and writes again.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn thaw(&self) -> Result<(), DevError> {
        self.connection(ConnectionHandle::thaw)
    }

    /// Closes as if another host had connected.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn supersede(&self) -> Result<(), DevError> {
        self.close(close::NORMAL, close::SUPERSEDED)
    }

    /// Closes with any code and reason. The WebSocket library refuses to send codes that are reserved.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn close(&self, code: u16, reason: &str) -> Result<(), DevError> {
        self.connection(|connection| connection.close(code, reason))
    }

    /// Sends any text as a frame.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn send_text(&self, text: impl Into<String>) -> Result<(), DevError> {
        self.connection(|connection| connection.send_text(text.into()))
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// See [`drop_connection`](Self::drop_connection).
    pub fn send_binary(&self, bytes: impl Into<Vec<u8>>) -> Result<(), DevError> {
        self.connection(|connection| connection.send_binary(bytes.into()))
    }

    /// Refuses the next declarations with `register_throttled` and this delay, however few there were.
    pub fn throttle_registrations(&self, declarations: u32, retry_after: Duration) {
        self.change(|seat| seat.registration.throttle_next(declarations, retry_after));
    }

    /// Refuses the next declarations with `tool_register failed: TEXT`, such as `entity_not_found_in_scope` or a message
    /// of the database. Duplicate and empty names are refused in any case, as the server does.
    pub fn refuse_registrations(&self, declarations: u32, text: impl Into<String>) {
        self.change(|seat| seat.registration.refuse_next(declarations, text.into()));
    }

    /// Leaves heartbeats without acknowledgement, or acknowledges them again.
    pub fn ignore_heartbeats(&self, ignore: bool) {
        self.change(|seat| seat.ignores_heartbeats = ignore);
    }

    /// Sends the last call once more, byte for byte, and waits for what the host says to that.
    ///
    /// # Errors
    /// When no call was sent yet, or no host is connected.
    pub async fn replay_last_call(&self) -> Result<CallReport, DevError> {
        let key = self.entity.key();
        let last = (self.entity.shared())
            .read(|state| state.seat(key).and_then(|seat| seat.last_call.clone()))
            .ok_or_else(|| DevError::NothingToReplay(key.clone()))?;
        Ok(self.repeat(last)?.answer().await.report)
    }

    /// Sends a call once more, byte for byte.
    pub(crate) fn repeat(&self, call: SignedCall) -> Result<Sent, DevError> {
        let (shared, key) = (self.entity.shared(), self.entity.key());
        let call = SignedCall { repeated: true, ..call };
        Sent::send(shared, key, call, shared.options.pending_time)
    }

    /// Gives the entity a new random secret, in all environments, and closes its connections with 4001.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn rotate_secret(&self) -> Result<Secret, DevError> {
        let secret = random::secret()?;
        self.rotate_secret_to(secret.clone());
        Ok(secret)
    }

    /// Gives the entity this secret, in all environments, and closes its connections with 4001.
    pub fn rotate_secret_to(&self, secret: Secret) {
        let (shared, entity) = (self.entity.shared(), &self.entity.key().entity);
        shared.update(|state| {
            if let Some(record) = state.entity_mut(entity) {
                // Under the lock, so that the last one is the one that stays.
                shared.keeper.keep_secret(entity, &secret);
                record.replace_secret(secret);
                for connection in record.connections() {
                    connection.close(close::ROTATED, close::SECRET_ROTATED);
                }
            }
        });
        shared.emit(Event::SecretRotated { entity: entity.clone() });
    }

    fn connection(&self, act: impl FnOnce(&ConnectionHandle)) -> Result<(), DevError> {
        let key = self.entity.key();
        let connection =
            self.entity.shared().read(|state| state.seat(key).and_then(|seat| seat.connection.clone()));
        act(&connection.ok_or_else(|| DevError::NotConnected(key.clone()))?);
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Seat)) {
        self.entity.shared().update(|state| {
            if let Some(seat) = state.seat_mut(self.entity.key()) {
                change(seat);
            }
        });
    }
}
