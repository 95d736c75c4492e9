//! The double, as tests hold it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::canned::{CannedAnswer, Greeting};
use super::door::Door;
use super::record::RecordedRequest;
use super::script::Script;
use super::store::{NOW, Shared, Store};
use crate::client::PlatosClient;
use crate::config::{ClientBuilder, NoMode, ReconnectPolicy, RetryPolicy, StreamLimits};

/// The session token that a double takes from the beginning.
const SESSION_TOKEN: &str = "double.session.token";

/// The API key that every double takes.
pub(super) const API_KEY: &str = "plt_double_key";

/// Which platform a double is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Generation {
    /// One of today: what is not there is a 404, lists say how long they are, much is for operators only.
    #[default]
    Newest,
    /// One of the first: what is not there is said in a success, and some routes have other names.
    Oldest,
}

/// How a double behaves.
#[derive(Debug, Clone)]
pub struct DoubleOptions {
    pub(super) port: u16,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    pub(super) max_payload: usize,
    pub(super) generation: Generation,
}

impl Default for DoubleOptions {
    /// A free port, and what Platos itself says to sockets: a ping every 25 s, 10 s to answer it, 1 MB a frame.
    fn default() -> Self {
        let (ping_interval, ping_timeout) = (Duration::from_secs(25), Duration::from_secs(10));
        let generation = Generation::Newest;
        Self { port: 0, ping_interval, ping_timeout, max_payload: 1_000_000, generation }
    }
}

impl DoubleOptions {
    /// Where it listens.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How often it pings, and how long it waits for the answer.
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> Self {
        (self.ping_interval, self.ping_timeout) = (interval, timeout);
        self
    }

    /// Which platform it is; the newest unless said otherwise.
    pub fn generation(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self
    }

    /// The most bytes that it takes in one frame.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }
}

/// An agent API on this machine, until it is dropped; see [the module](crate::testing).
pub struct PlatosDouble {
    shared: Arc<Shared>,
    address: SocketAddr,
    _open: DropGuard,
}

impl PlatosDouble {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(DoubleOptions::default()).await
    }

    /// The same, as it is told to behave.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_with(options: DoubleOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.write(|store| {
            store.generation = options.generation;
            furnish(store);
        });
        let open = CancellationToken::new();
        tokio::spawn(Door { shared: Arc::clone(&shared), options }.receive(listener, open.clone()));
        Ok(Self { shared, address, _open: open.drop_guard() })
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The session token that it takes from the beginning.
    pub fn session_token(&self) -> &'static str {
        SESSION_TOKEN
    }

    /// The API key that it takes.
    pub fn api_key(&self) -> &'static str {
        API_KEY
    }

    /// A client's builder with the base URL, and waits so short that tests do not notice them.
    pub fn builder(&self) -> ClientBuilder<NoMode> {
        let short = (Duration::from_millis(5), Duration::from_millis(20));
        PlatosClient::builder(self.url())
            .retry(RetryPolicy::default().first_wait(short.0).longest_wait(short.1))
            .reconnect(ReconnectPolicy::default().first_wait(short.0).longest_wait(short.1))
            .stream_limits(StreamLimits::default().poll_interval(short.1))
    }

    /// A client with the session token.
    ///
    /// # Panics
    /// When TLS cannot be set up on this machine.
    pub fn client(&self) -> PlatosClient {
        self.builder().session_token(SESSION_TOKEN).build().expect("the double's own settings can be used")
    }

    /// Takes another session token.
    pub fn accept_token(&self, token: &str) {
        self.shared.write(|store| store.tokens.insert(token.to_owned()));
    }

    /// Takes another session token, of an end user: operators' routes are refused to it.
    pub fn accept_end_user(&self, token: &str) {
        self.shared.write(|store| store.end_users.insert(token.to_owned()));
    }

    /// Takes a session token no more.
    pub fn revoke_token(&self, token: &str) {
        self.shared.write(|store| store.tokens.remove(token) | store.end_users.remove(token));
    }

    /// What was put or created under a name, as [`add`](Self::add) calls it; also `uploads` and `dispatched` jobs.
    pub fn things(&self, list: &str) -> Vec<Value> {
        self.shared.read(|store| store.things.get(list).cloned().unwrap_or_default())
    }

    /// Puts something where requests find it. Lists are called as in the answers; beside those there are `approvals`,
    /// `tool calls`, `budget status`, `cost of day`, `cost of user`, `cost by agent`, `cost by model` and `cost by user`.
    pub fn add(&self, list: &'static str, thing: Value) {
        self.shared.write(|store| store.add(list, thing));
    }

    /// Answers the next request whose path contains `part` otherwise. Called several times, several requests.
    pub fn answer_next(&self, part: &str, answer: CannedAnswer) {
        self.shared.write(|store| store.canned.push_back((part.to_owned(), answer)));
    }

    /// Receives the next socket otherwise. Called several times, several sockets.
    pub fn greet_next(&self, greeting: Greeting) {
        self.shared.write(|store| store.greetings.push_back(greeting));
    }

    /// What the next turn does. Called several times, several turns.
    pub fn script(&self, script: Script) {
        self.shared.write(|store| store.scripts.push_back(script));
    }

    /// What turns do that have no script of their own, by what their message says.
    pub fn on_message(&self, script: impl Fn(&Value) -> Script + Send + Sync + 'static) {
        self.shared.write(|store| store.on_message = Some(Arc::new(script)));
    }

    /// All requests so far, upgrades among them.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.read(|store| store.requests.clone())
    }

    /// All frames that came over sockets so far.
    pub fn frames(&self) -> Vec<String> {
        self.shared.read(|store| store.frames.clone())
    }

    /// All events of one name that came over sockets so far, such as `message` or `join_thread`.
    pub fn emitted(&self, name: &str) -> Vec<Value> {
        self.shared.read(|store| emitted(store, name))
    }

    /// What was said to agents so far.
    pub fn messages(&self) -> Vec<Value> {
        self.emitted("message")
    }

    /// Waits until so many events of a name came over sockets.
    pub async fn wait_for_emitted(&self, name: &str, count: usize) -> Vec<Value> {
        let enough = |store: &Store| Some(emitted(store, name)).filter(|events| events.len() >= count);
        self.shared.wait_for(enough).await
    }

    /// Waits until a frame came over a socket that is so.
    pub async fn wait_for_frame(&self, is_so: impl Fn(&str) -> bool) -> String {
        let find = |store: &Store| store.frames.iter().find(|frame| is_so(frame)).cloned();
        self.shared.wait_for(find).await
    }
}

fn emitted(store: &Store, name: &str) -> Vec<Value> {
    let events = store.frames.iter().filter_map(|frame| {
        let event = frame.strip_prefix("42")?;
        let event: Value =
            serde_json::from_str(event.split_once(',').map_or(event, |(_, event)| event)).ok()?;
        (event[0] == name).then(|| event[1].clone())
    });
    events.collect()
}

/// What is there from the beginning.
fn furnish(store: &mut Store) {
    store.tokens.insert(SESSION_TOKEN.to_owned());
    for (id, name, model) in [("agt_support", "Support", "large"), ("agt_writer", "Writer", "small")] {
        let agent = json!({
            "id": id, "name": name, "model": model, "systemPrompt": "Be brief.", "createdAt": NOW, "updatedAt": NOW,
        });
        store.add("agents", agent);
        store.add(
            "versions",
            json!({"id": format!("{id}_v1"), "agentId": id, "version": 1, "createdAt": NOW}),
        );
    }
    store.add(
        "jobs",
        json!({"id": "reindex", "jobId": "reindex", "displayName": "Rebuild the index", "isActive": true,
            "handler": "export default async () => {}"}),
    );
}

impl fmt::Debug for PlatosDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatosDouble").field("address", &self.address).finish_non_exhaustive()
    }
}
