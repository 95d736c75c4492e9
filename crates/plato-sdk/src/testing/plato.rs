//! The double as a test sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::machine::{Chrome, Machine};
use super::record::RecordedRequest;
use super::script::BashReply;
use super::server;
use super::testcase::FakeTestcase;
use super::world::{Boot, SessionEnd, Shared, World};
use crate::client::Plato;
use crate::config::{PlatoBuilder, Retries};
use crate::desktop::{Screenshot, Size};
use crate::secrets::JobId;

/// A Plato on this machine, for tests.
///
/// It has a control plane with the catalogue, sessions and jobs, and a machine for every job. The picture of its screen
/// changes with every action, and `edit` works on files in memory. Typed text is collected; the keys `ctrl+s` write it
/// to `/home/user/notes.txt` and record a mutation of the table `notes`, so that there is something to score.
///
/// No command is run: [`on_bash`](Self::on_bash) scripts its result. Without a script, there are replies to
/// `true`, `echo WORDS`, `cat FILE` and `sleep SECONDS`, and to the commands that this crate and the Python SDK send by
/// themselves. A command that contains `pkill -f PATTERN` and matches the pattern ends itself, as with a real shell.
///
/// A session that sends no heartbeats ends, as with the real Plato. The double stops when it is dropped.
///
/// ```
/// use plato_sdk::testing::FakePlato;
/// use plato_sdk::{Action, Env};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> plato_sdk::Result<()> {
/// let fake = FakePlato::start();
/// let plato = fake.client();
/// let session = plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await?;
/// let desktop = session.desktop()?;
/// desktop.perform(Action::Type { text: "hello".into() }).await?;
/// assert_eq!(fake.typed_text(session.environment("desktop")?.job_id()), "hello");
/// session.close().await?;
/// assert!(fake.open_sessions().is_empty());
/// # Ok(()) }
/// ```
pub struct FakePlato {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// How a [`FakePlato`] is set up.
#[derive(Debug, Clone)]
pub struct FakePlatoBuilder {
    port: u16,
    key: String,
    screen: Size,
    heartbeat_timeout: Duration,
    testcases: Vec<FakeTestcase>,
    chrome: Option<String>,
    chrome_hangs: bool,
}

impl Default for FakePlatoBuilder {
    fn default() -> Self {
        Self {
            port: 0,
            key: "pk-fake-0123456789".to_owned(),
            screen: Size::new(1280, 720),
            heartbeat_timeout: Duration::from_secs(300),
            testcases: Vec::new(),
            chrome: None,
            chrome_hangs: false,
        }
    }
}

impl FakePlatoBuilder {
    /// The port to listen on, on 127.0.0.1; any free one unless said otherwise.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The only API key that is let in.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// The size of the desktops' screens; 1280x720 unless said otherwise.
    pub fn screen(mut self, size: Size) -> Self {
        self.screen = size;
        self
    }

    /// After how long without a heartbeat a session ends that says nothing else; 300 s unless said otherwise.
    pub fn heartbeat_timeout(mut self, time: Duration) -> Self {
        self.heartbeat_timeout = time;
        self
    }

    /// A testcase that sessions can be started from, or be linked to.
    pub fn testcase(mut self, testcase: FakeTestcase) -> Self {
        self.testcases.push(testcase);
        self
    }

    /// A browser that is started with `--remote-debugging-port`, as `127.0.0.1:9222`: it becomes the Chrome of all
    /// desktops.
    pub fn chrome(mut self, address: impl Into<String>) -> Self {
        self.chrome = Some(address.into());
        self
    }

    /// The Chrome of all desktops is there and does not answer, as after a machine woke from a snapshot, until it is
    /// ended and started anew.
    pub fn chrome_hangs(mut self) -> Self {
        self.chrome_hangs = true;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot listen, or no thread can be started: a test cannot go on without it.
    pub fn start(self) -> FakePlato {
        let chrome_state = if self.chrome_hangs { Chrome::Hanging } else { Chrome::Up };
        let world = World {
            base: String::new(),
            key: self.key,
            screen: self.screen,
            heartbeat_timeout: self.heartbeat_timeout,
            sessions: BTreeMap::default(),
            jobs: BTreeMap::default(),
            requests: Vec::new(),
            faults: Vec::new(),
            boots: BTreeMap::default(),
            flows: BTreeMap::default(),
            testcases: self.testcases,
            snapshots: Vec::new(),
            examples: BTreeMap::default(),
            stuck: BTreeMap::default(),
            chrome: self.chrome,
            chrome_state,
            scripts: Vec::new(),
        };
        let shared = Arc::new(Shared::new(world));
        let stop = CancellationToken::new();
        let base = server::start(Arc::clone(&shared), self.port, stop.clone()).unwrap_or_else(|error| {
            panic!("the fake Plato cannot be started on port {}: {error}", self.port)
        });
        shared.with(|world| world.base = base);
        FakePlato { shared, stop }
    }
}

impl FakePlato {
    /// One with nothing special about it.
    ///
    /// # Panics
    /// As [`FakePlatoBuilder::start`].
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// One to be set up.
    pub fn builder() -> FakePlatoBuilder {
        FakePlatoBuilder::default()
    }

    /// Its base URL.
    pub fn base_url(&self) -> String {
        self.shared.with(|world| world.base.clone())
    }

    /// Its template of desktops, for `PLATO_DESKTOP_URL`.
    pub fn desktop_url(&self) -> String {
        format!("{}/_desktop/{{job_id}}/{{port}}", self.base_url())
    }

    /// The API key that it lets in.
    pub fn api_key(&self) -> String {
        self.shared.with(|world| world.key.clone())
    }

    /// A builder of clients for it, whose pauses between attempts are short.
    pub fn client_builder(&self) -> PlatoBuilder {
        let retries = Retries {
            base: Duration::from_millis(2),
            max_delay: Duration::from_millis(8),
            ..Retries::default()
        };
        let builder = Plato::builder().api_key(self.api_key()).base_url(self.base_url());
        builder.desktop_url(self.desktop_url()).retries(retries)
    }

    /// A client for it.
    ///
    /// # Panics
    /// When TLS cannot be set up on this machine.
    pub fn client(&self) -> Plato {
        self.client_builder().build().expect("everything that a client needs is given")
    }

    /// Lets requests fail.
    pub fn fail(&self, fault: Fault) {
        self.shared.with(|world| world.faults.push(fault));
    }

    /// How the machines of a simulator come up from now on.
    pub fn boot(&self, simulator: &str, boot: Boot) {
        self.shared.with(|world| world.boots.insert(simulator.to_owned(), boot));
    }

    /// The artifact that a simulator's name stands for from now on; `None` leaves it without one. Without an order it
    /// is `art-` with the simulator's name.
    pub fn example(&self, simulator: &str, artifact: Option<&str>) {
        self.shared.with(|world| world.examples.insert(simulator.to_owned(), artifact.map(str::to_owned)));
    }

    /// Environments of a simulator cannot be reset from now on, for this reason.
    pub fn fail_resets(&self, simulator: &str, reason: &str) {
        self.shared.with(|world| world.stuck.insert(simulator.to_owned(), reason.to_owned()));
    }

    /// The flows of a simulator, as the server lists them.
    pub fn flows(&self, simulator: &str, flows: Value) {
        self.shared.with(|world| world.flows.insert(simulator.to_owned(), flows));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.with(|world| world.requests.clone())
    }

    /// How many requests there were of a kind, such as `POST` and `/sessions/*/close`.
    pub fn count(&self, method: &str, pattern: &str) -> usize {
        self.shared.with(|world| world.requests.iter().filter(|request| request.is(method, pattern)).count())
    }

    /// The ids of all sessions that were ever made.
    pub fn sessions(&self) -> Vec<String> {
        self.shared.with(|world| world.sessions.keys().cloned().collect())
    }

    /// The ids of the sessions that are open.
    pub fn open_sessions(&self) -> Vec<String> {
        self.shared.with(|world| world.open_sessions())
    }

    /// How a session ended, if it has.
    pub fn session_end(&self, session: &str) -> Option<SessionEnd> {
        self.shared.with(|world| world.sessions.get(session)?.end)
    }

    /// How many heartbeats a session has sent.
    pub fn heartbeats(&self, session: &str) -> u32 {
        self.shared.with(|world| world.sessions.get(session).map_or(0, |session| session.beats))
    }

    /// Waits until no session is open.
    pub async fn all_closed(&self) {
        let _ = self.shared.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Waits until `count` sessions have been made.
    pub async fn wait_for_sessions(&self, count: usize) {
        let mut open = self.shared.open.subscribe();
        while self.sessions().len() < count && open.changed().await.is_ok() {}
    }

    /// Waits until there is a request of a kind, counting from the first.
    pub async fn wait_for_request(&self, method: &str, pattern: &str) {
        self.wait_for_requests(1, method, pattern).await;
    }

    /// Waits until there are `count` requests of a kind, counting from the first.
    pub async fn wait_for_requests(&self, count: usize, method: &str, pattern: &str) {
        let mut asked = self.shared.asked.subscribe();
        while self.count(method, pattern) < count && asked.changed().await.is_ok() {}
    }

    /// Ends a session, as a server does when its time is up.
    pub fn kill_session(&self, session: &str) {
        self.shared.with(|world| {
            if let Some(session) = world.sessions.get_mut(session) {
                session.end = Some(SessionEnd::Killed);
            }
        });
    }

    /// Notes a change of an environment's data, if its record has begun with a reset.
    pub fn mutate(&self, job: &JobId, mutation: Value) {
        self.shared.with(|world| {
            if let Some(job) = world.jobs.get_mut(job.as_str()) {
                job.note(mutation);
            }
        });
    }

    /// Replies to commands on all machines from now on. A script that returns `None` leaves the command to the script
    /// before it, and the first one to the replies of the double.
    ///
    /// ```
    /// use plato_sdk::testing::{BashReply, FakePlato};
    ///
    /// let fake = FakePlato::start();
    /// fake.on_bash(|command| (command == "make test").then(|| BashReply::new("ok\n")));
    /// ```
    pub fn on_bash(&self, script: impl Fn(&str) -> Option<BashReply> + Send + Sync + 'static) {
        self.shared.with(|world| world.scripts.push(Arc::new(script)));
    }

    /// The text that was typed on a desktop.
    pub fn typed_text(&self, job: &JobId) -> String {
        self.machine(job, |machine| machine.typed.clone()).unwrap_or_default()
    }

    /// The contents of a machine's file.
    pub fn file(&self, job: &JobId, path: &str) -> Option<Vec<u8>> {
        self.machine(job, |machine| machine.files.get(path).cloned())?
    }

    /// The current picture of a desktop's screen.
    pub fn screen(&self, job: &JobId) -> Option<Screenshot> {
        let png = self.machine(job, |machine| machine.screenshot())?;
        Screenshot::from_png(png).ok()
    }

    /// Changes the resolution of a desktop's screen.
    pub fn set_screen(&self, job: &JobId, size: Size) {
        self.machine(job, |machine| machine.size = size);
    }

    fn machine<T>(&self, job: &JobId, look: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        self.shared.with(|world| world.jobs.get_mut(job.as_str()).map(|job| look(&mut job.machine)))
    }
}

impl Drop for FakePlato {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for FakePlato {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePlato").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}
