//! The connection to NATS: sealed messages between members, and the store with the lease.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::kv::{Config as BucketConfig, Store, UpdateErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::lease::{Away, NotWritten, Record, Stored};
use crate::message::MemberId;
use crate::seal::{Counters, HEAD, Keys, OVERHEAD, SealError};
use crate::{FleetError, observe};

/// How long a first connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long the store may take to answer.
const STORE_TIME: Duration = Duration::from_millis(900);
/// How often NATS is asked whether it is there. Two missing answers are the end of a connection.
const PING_EVERY: Duration = Duration::from_secs(1);
/// The longest pause before NATS is dialled again.
const REDIAL: Duration = Duration::from_millis(250);
/// The oldest version of a NATS server that a fleet works with.
const OLDEST_SERVER: (u32, u32) = (2, 10);
/// The key of the lease.
const LEASE: &str = "lease";
/// The length of a piece's head: flags and number.
const PIECE: usize = 5;
const FIRST: u8 = 1;
const LAST: u8 = 2;
/// The most that one message may hold, in bytes: a call and its answer are smaller.
const MAX_MESSAGE: usize = 64 << 20;
/// How long the pieces of a message wait for the next one.
const PARTIAL_TIME: Duration = Duration::from_secs(60);
/// How many messages are sealed together. With more, all calls in flight would move as one, and one process would wait for
/// the other.
const TOGETHER: usize = 32;

/// A connection to NATS for the members of one fleet.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    losses: Arc<AtomicU64>,
    jetstream: jetstream::Context,
    keys: Arc<Keys>,
    me: MemberId,
    counter: AtomicU64,
    prefix: String,
    bucket: String,
    replicas: usize,
    store: Mutex<Option<Store>>,
    /// Whether it was said that there is no store.
    store_missed: AtomicBool,
}

impl Link {
    /// Connects to NATS.
    ///
    /// # Errors
    /// When that fails, unless the fleet is optional: then it goes on in the background.
    pub(crate) async fn connect(
        config: &Config,
        identity: &str,
        keys: Arc<Keys>,
        me: MemberId,
    ) -> Result<Self, FleetError> {
        let losses = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&losses);
        let mut options = config
            .options()?
            .name(format!("platools-fleet {}", config.name))
            .connection_timeout(CONNECT_TIME)
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(|attempts| {
                REDIAL.min(Duration::from_millis(25) * u32::try_from(attempts).unwrap_or(u32::MAX).min(100))
            })
            .event_callback(move |event| {
                match event {
                    async_nats::Event::Connected => {
                        tracing::info!("connected to the NATS server of the fleet");
                    }
                    async_nats::Event::Disconnected => {
                        lost.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!("the NATS server of the fleet is away");
                    }
                    event @ async_nats::Event::SlowConsumer(_) => {
                        tracing::warn!(
                            "messages of other members are lost, since they come too fast: {event}"
                        );
                    }
                    event => tracing::debug!("NATS: {event}"),
                }
                ready(())
            });
        if config.optional {
            options = options.retry_on_initial_connect();
        }
        let problem = |problem: String| FleetError::Connect { problem };
        let connecting = timeout(CONNECT_TIME, options.connect(config.urls.clone()));
        let client = connecting
            .await
            .map_err(|_elapsed| problem(format!("no connection within {CONNECT_TIME:?}")))?
            .map_err(|error| problem(error.to_string()))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(STORE_TIME);
        let namespace = &HEXLOWER.encode(&Sha256::digest(identity))[..32];
        let link = Self {
            client,
            losses,
            jetstream,
            keys,
            me,
            counter: AtomicU64::new(0),
            prefix: format!("platools.{namespace}"),
            bucket: format!("platools-{namespace}"),
            replicas: config.replicas,
            store: Mutex::default(),
            store_missed: AtomicBool::new(false),
        };
        if !config.optional {
            link.open_store().await?;
        }
        Ok(link)
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Whether NATS is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How often the connection to NATS was lost.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    // --- the store

    async fn open_store(&self) -> Result<Store, FleetError> {
        let problem = |problem: String| FleetError::Store { problem };
        let version = self.client.server_info().version;
        if is_too_old(&version) {
            return Err(FleetError::Version { version });
        }
        if let Ok(store) = self.jetstream.get_key_value(&self.bucket).await {
            return Ok(store);
        }
        let config = BucketConfig {
            bucket: self.bucket.clone(),
            description: "Who holds the connection of a fleet of platools".to_owned(),
            history: 1,
            num_replicas: self.replicas,
            max_value_size: 64 << 10,
            ..BucketConfig::default()
        };
        match self.jetstream.create_key_value(config).await {
            Ok(store) => Ok(store),
            // Another member may have made it at this moment.
            Err(error) => {
                self.jetstream.get_key_value(&self.bucket).await.map_err(|_| problem(error.to_string()))
            }
        }
    }

    async fn store(&self) -> Result<Store, Away> {
        let mut kept = self.store.lock().await;
        if let Some(store) = &*kept {
            return Ok(store.clone());
        }
        let store = self.open_store().await.map_err(|error| {
            if !self.store_missed.swap(true, Ordering::Relaxed) {
                tracing::warn!("{error}");
            }
            Away
        })?;
        self.store_missed.store(false, Ordering::Relaxed);
        *kept = Some(store.clone());
        Ok(store)
    }

    /// Forgets the store if it is not there any more, as after a restart of NATS that lost it.
    async fn check_store(&self) {
        let missing = match self.jetstream.get_stream(format!("KV_{}", self.bucket)).await {
            Ok(_) => false,
            Err(error) => match error.kind() {
                jetstream::context::GetStreamErrorKind::JetStream(error) => {
                    error.error_code() == ErrorCode::STREAM_NOT_FOUND
                }
                _ => false,
            },
        };
        if missing {
            *self.store.lock().await = None;
        }
    }

    /// Reads the lease.
    pub(crate) async fn look(&self) -> Result<Stored, Away> {
        if !self.is_connected() {
            return Err(Away);
        }
        let looking = async {
            let store = self.store().await?;
            match store.entry(LEASE).await {
                Ok(entry) => Ok(entry),
                Err(error) => {
                    tracing::debug!("the lease cannot be read: {error}");
                    self.check_store().await;
                    Err(Away)
                }
            }
        };
        let entry = timeout(STORE_TIME, looking).await.map_err(|_elapsed| Away)??;
        Ok(entry.map(|entry| {
            let record = self.keys.open_record(&entry.value).ok().and_then(|opened| {
                let record: Record = rmp_serde::from_slice(&opened.text).ok()?;
                if record.holder != opened.sender {
                    return None;
                }
                self.keys.note(opened.sender, opened.known);
                Some(record)
            });
            (entry.revision, record)
        }))
    }

    /// Writes the lease, if the store has this revision.
    pub(crate) async fn write(&self, expected: Option<u64>, record: &Record) -> Result<u64, NotWritten> {
        if !self.is_connected() {
            return Err(NotWritten::Away);
        }
        let mut text = Vec::new();
        // Never fails: a record has nothing that the format has not.
        let _ = rmp_serde::encode::write_named(&mut text, record);
        let sealed = self.keys.seal_record(self.me, self.next(), &text);
        let writing = async {
            let store = self.store().await.map_err(|Away| NotWritten::Away)?;
            match store.update(LEASE, Bytes::from(sealed), expected.unwrap_or(0)).await {
                Ok(revision) => Ok(revision),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Err(NotWritten::Conflict),
                Err(error) => {
                    tracing::debug!("the lease cannot be written: {error}");
                    self.check_store().await;
                    Err(NotWritten::Away)
                }
            }
        };
        timeout(STORE_TIME, writing).await.unwrap_or(Err(NotWritten::Away))
    }

    // --- messages

    fn subject(&self, member: MemberId) -> String {
        format!("{}.m.{member}", self.prefix)
    }

    /// Subscribes to the messages to this member.
    pub(crate) async fn subscribe(&self) -> Result<Subscriber, FleetError> {
        let problem = |problem: String| FleetError::Connect { problem };
        self.client.subscribe(self.subject(self.me)).await.map_err(|error| problem(error.to_string()))
    }

    /// Subscribes to the hints that the lease has changed. They are not sealed, and only make members look.
    pub(crate) async fn subscribe_hints(&self) -> Result<Subscriber, FleetError> {
        let problem = |problem: String| FleetError::Connect { problem };
        self.client
            .subscribe(format!("{}.hint", self.prefix))
            .await
            .map_err(|error| problem(error.to_string()))
    }

    pub(crate) async fn hint(&self) {
        if self.is_connected() {
            let _ = self.client.publish(format!("{}.hint", self.prefix), Bytes::new()).await;
        }
    }

    /// Sends what comes, until there is no sender: several messages to one member together.
    pub(crate) async fn send_all<T: Serialize>(&self, mut messages: mpsc::UnboundedReceiver<Outgoing<T>>) {
        let mut some = Vec::new();
        while messages.recv_many(&mut some, TOGETHER).await > 0 {
            // What is ready to run may have more for the same packet: each costs the server of NATS more than what is in it.
            if some.len() < TOGETHER {
                tokio::task::yield_now().await;
                while some.len() < TOGETHER
                    && let Ok(message) = messages.try_recv()
                {
                    some.push(message);
                }
            }
            // While NATS is away, a message is as good as lost: those who wait for it ask again.
            if !self.is_connected() {
                some.clear();
                continue;
            }
            let most = self.client.server_info().max_payload.clamp(4 << 10, 8 << 20) - OVERHEAD - PIECE;
            let mut packets: Vec<Packet> = Vec::new();
            let mut waiting = Vec::new();
            for outgoing in some.drain(..) {
                let (to, message) = match outgoing {
                    Outgoing::Message(to, message) => (to, message),
                    Outgoing::Flush(flushed) => {
                        waiting.push(flushed);
                        continue;
                    }
                };
                let index = packets.iter().rposition(|packet| packet.to == to).unwrap_or_else(|| {
                    packets.push(Packet::new(to));
                    packets.len() - 1
                });
                if let Some(next) = packets[index].add(&message, most) {
                    packets.push(next);
                }
            }
            for packet in packets {
                for piece in packet.into_pieces(most) {
                    self.send(piece).await;
                }
            }
            if !waiting.is_empty() {
                let _ = timeout(STORE_TIME, self.client.flush()).await;
                for flushed in waiting {
                    let _ = flushed.send(());
                }
            }
        }
    }

    async fn send(&self, piece: Packet) {
        let sealed = self.keys.seal(self.me, self.next(), piece.to, piece.bytes);
        if let Err(error) = self.client.publish(self.subject(piece.to), sealed.into()).await {
            tracing::debug!("a message to another member cannot be sent: {error}");
        }
    }
}

/// Whether a server of this version lacks what a fleet needs. One that cannot be read, as of a server that is made by
/// others, may do.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_SERVER,
        _ => false,
    }
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Outgoing<T> {
    Message(MemberId, T),
    /// Says when everything before it is with NATS, or is lost because that is away.
    Flush(oneshot::Sender<()>),
}

/// Messages to one member that are sent together, each behind its length. In front is room for what [`Keys::seal`] adds
/// and for the head of a piece.
struct Packet {
    to: MemberId,
    bytes: Vec<u8>,
}

impl Packet {
    const START: usize = HEAD + PIECE;

    fn new(to: MemberId) -> Self {
        let mut bytes = Vec::with_capacity(2 << 10);
        bytes.resize(Self::START, 0);
        Self { to, bytes }
    }

    /// Adds a message. Returns it in a packet of its own if this one would be longer than `most`.
    fn add<T: Serialize>(&mut self, message: &T, most: usize) -> Option<Self> {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        if rmp_serde::encode::write_named(&mut self.bytes, message).is_err() {
            self.bytes.truncate(start);
            return None;
        }
        let length = u32::try_from(self.bytes.len() - start - 4).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        (start > Self::START && self.bytes.len() - Self::START > most).then(|| {
            let mut next = Self::new(self.to);
            next.bytes.extend(self.bytes.drain(start..));
            next
        })
    }

    /// What is published: pieces of at most this length, mostly one.
    fn into_pieces(mut self, most: usize) -> Vec<Self> {
        if self.bytes.len() - Self::START <= most {
            self.bytes[HEAD] = FIRST | LAST;
            return vec![self];
        }
        let parts = self.bytes[Self::START..].chunks(most);
        let count = parts.len();
        parts
            .enumerate()
            .map(|(index, part)| {
                let mut piece = Self::new(self.to);
                let flags = if index == 0 { FIRST } else { 0 } | if index + 1 == count { LAST } else { 0 };
                piece.bytes[HEAD] = flags;
                piece.bytes[HEAD + 1..].copy_from_slice(&(index as u32).to_be_bytes());
                piece.bytes.extend(part);
                piece
            })
            .collect()
    }
}

/// A message of which the first pieces are there.
#[derive(Debug)]
struct Partial {
    pieces: u32,
    /// When the last piece came.
    last: Instant,
    bytes: Vec<u8>,
}

/// Opens what comes from other members.
#[derive(Debug)]
pub(crate) struct Inbox {
    keys: Arc<Keys>,
    me: MemberId,
    counters: Counters,
    partial: HashMap<MemberId, Partial>,
}

impl Inbox {
    pub(crate) fn new(keys: Arc<Keys>, me: MemberId) -> Self {
        Self { keys, me, counters: Counters::default(), partial: HashMap::new() }
    }

    /// Opens a message: returns its sender, and what it says if it is whole.
    ///
    /// # Errors
    /// When it is not from a member, or came before.
    pub(crate) fn open<T: DeserializeOwned>(
        &mut self,
        sealed: &[u8],
    ) -> Result<(MemberId, Vec<T>), SealError> {
        self.open_at(Instant::now(), sealed)
    }

    fn open_at<T: DeserializeOwned>(
        &mut self,
        now: Instant,
        sealed: &[u8],
    ) -> Result<(MemberId, Vec<T>), SealError> {
        let opened = self.keys.open(Some(self.me), sealed)?;
        let (from, piece) = (opened.sender, opened.text);
        self.counters.take(from, opened.counter)?;
        self.keys.note(from, opened.known);
        if !self.partial.is_empty() {
            // Their senders may have ended in between.
            self.partial.retain(|_, partial| now < partial.last + PARTIAL_TIME);
        }
        let (head, part) = piece.split_at_checked(PIECE).ok_or(SealError::Forged)?;
        let index = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        if head[0] == FIRST | LAST {
            self.partial.remove(&from);
            return Ok((from, read(part)));
        }
        if head[0] & FIRST != 0 {
            self.partial.insert(from, Partial { pieces: 0, last: now, bytes: Vec::new() });
        }
        let Some(partial) = self.partial.get_mut(&from) else { return Ok((from, Vec::new())) };
        if index != partial.pieces || partial.bytes.len() + part.len() > MAX_MESSAGE {
            self.partial.remove(&from);
            return Ok((from, Vec::new()));
        }
        partial.pieces += 1;
        partial.last = now;
        partial.bytes.extend(part);
        if head[0] & LAST == 0 {
            return Ok((from, Vec::new()));
        }
        let whole = self.partial.remove(&from);
        Ok((from, whole.map(|whole| read(&whole.bytes)).unwrap_or_default()))
    }
}

/// Reads the messages of a packet. One that this version does not know is left out.
fn read<T: DeserializeOwned>(mut packet: &[u8]) -> Vec<T> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = packet.split_first_chunk::<4>() {
        let Some((text, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        match rmp_serde::from_slice(text) {
            Ok(message) => messages.push(message),
            Err(error) => {
                observe::message_refused("unknown");
                tracing::debug!("a message of another version is left out: {error}");
            }
        }
        packet = rest;
    }
    messages
}

/// What members tell each other that is not about calls and leases alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) content: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_known_by_its_version() {
        assert!(["2.9.25", "1.4.1", "v2.2.0-beta"].into_iter().all(is_too_old));
        assert!(!["2.10.0", "2.15.1", "v3.0", "2.11.0-RC.1", "", "dev"].into_iter().any(is_too_old));
    }

    #[test]
    fn what_came_of_a_message_is_forgotten_when_its_sender_says_no_more() {
        let secret = platools::verify::Secret::new("0123456789abcdef0123456789abcdef").unwrap();
        let keys = Arc::new(Keys::new("fleet", &secret));
        let (a, b, c) = (MemberId::of(1), MemberId::of(2), MemberId::of(3));
        let mut inbox = Inbox::new(Arc::clone(&keys), c);
        let mut counter = 0;
        let mut seal = |from, piece: Packet| {
            counter += 1;
            keys.seal(from, counter, c, piece.bytes)
        };
        let pieces = || {
            let mut packet = Packet::new(c);
            assert!(packet.add(&"x".repeat(10_000), 4_000).is_none());
            packet.into_pieces(4_000)
        };
        let start = Instant::now();
        let mut hears = |inbox: &mut Inbox, seconds, from, piece| {
            let now = start + Duration::from_secs(seconds);
            inbox.open_at::<String>(now, &seal(from, piece)).unwrap().1.len()
        };
        // One that takes its time comes to its end, and one that was killed leaves nothing.
        let mut killed = pieces().into_iter();
        assert_eq!(hears(&mut inbox, 0, a, killed.next().unwrap()), 0);
        let mut count = 0;
        for (index, piece) in pieces().into_iter().enumerate() {
            count += hears(&mut inbox, 55 * index as u64, b, piece);
        }
        assert_eq!(count, 1);
        assert!(inbox.partial.is_empty(), "{:?}", inbox.partial.keys());
        assert_eq!(hears(&mut inbox, 170, a, killed.next().unwrap()), 0);
    }
}
