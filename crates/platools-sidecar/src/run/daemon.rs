//! Everything together, from the first look at the file to the last answer.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use platools_net::descriptors;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::callbacks::Callbacks;
use super::documents::Documents;
use super::file::Anew;
use super::fleet::Fleet;
use super::listener::listen;
use super::reader::{Read, Reader};
use super::sessions::Sessions;
use super::signals::{Wish, Wishes};
use super::view::View;
use super::{ConfigFile, admin, logs, open_state_dir, service};
use crate::config::{Admin, ConfigError};
use crate::plan::Plan;
use crate::secrecy;
use crate::traces::{Traces, TracesPlan};

/// How often states are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How often files are.
const WATCH: Duration = Duration::from_secs(2);

/// How long a platform that is not there may keep the service manager waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the figures are tidied up, and descriptors that were used up are taken back.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many descriptors are kept for the connections to platforms: a look-up of a name and a socket for each of two
/// that connect at the same time.
const KEPT: usize = 12;

/// Below so many descriptors, the listeners and the tools are noticeably limited.
const FEW: usize = 1_024;

/// Why a sidecar does not run, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// The file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is nothing to connect to.
    #[error(
        "there is no platform to connect to: add an `[[entity]]` to the file, or set PLATOS_URL and PLATOS_SECRET"
    )]
    NoEntity,
    /// An address is taken, or not this machine's.
    #[error("`{key}` cannot listen on {address}: {problem}")]
    Listen {
        /// The section of the file.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        problem: String,
    },
    /// A host cannot be made.
    #[error("{0}")]
    Host(String),
    /// All entities were refused for good.
    #[error("no entity is connected any more: the log says why; mend it and start the sidecar again")]
    Ended,
    /// Somebody asked twice for the end.
    #[error("stopped at once: calls that were running are lost")]
    Interrupted,
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the sidecar that a file describes, until SIGTERM or SIGINT: then calls that run may finish, their answers are
/// sent, and it ends. A second signal ends it at once. SIGHUP, and a changed file, have it go over to the file as it
/// is then, if that can be used; otherwise everything stays as it was, and the log says why.
///
/// Logging is set up as the file says, unless the program has done so before. The limit of file descriptors is raised
/// as far as it may be; programs that tools start have the one from before. On Linux, other processes of the user can no
/// longer read the variables and the memory of this one, nor are there core dumps (`PR_SET_DUMPABLE`).
///
/// # Errors
/// When the file cannot be used, an address cannot be listened on, or every entity is refused for good.
pub async fn run(file: &Path) -> Result<(), SidecarError> {
    let mut wishes = Wishes::listen().map_err(SidecarError::Signals)?;
    secrecy::hide();
    let descriptors = descriptors::raise();
    let mut file = Reader::new(ConfigFile::new(file));
    file.read();
    // A file may be on a mount that never answers.
    let plan = loop {
        tokio::select! {
            read = file.next() => if let Read::Plan(plan, _) = read { break (*plan)?; },
            () = wishes.end() => return Ok(()),
        }
    };
    let traces = Traces::start(plan.traces.as_ref()).map_err(SidecarError::Host)?;
    logs::init(&plan.log, traces.layer());
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(descriptors) = descriptors.filter(|descriptors| *descriptors < FEW) {
        tracing::warn!(descriptors, "there are few file descriptors: raise the hard limit (`LimitNOFILE`)");
    }
    if plan.entities.is_empty() {
        return Err(SidecarError::NoEntity);
    }
    descriptors::keep(KEPT);
    let ended = Daemon::start(file, plan).await?.run(&mut wishes).await;
    traces.end().await;
    ended
}

struct Daemon {
    file: Reader,
    fleet: Fleet,
    view: View,
    /// What listens; ends last.
    listeners: TaskTracker,
    stop: CancellationToken,
    admin: Option<Admin>,
    traces: Option<TracesPlan>,
    sessions: Sessions,
    callbacks: Callbacks,
    documents: Documents,
    /// Whether the service manager was told that this is ready.
    announced: bool,
}

impl Daemon {
    async fn start(file: Reader, mut plan: Plan) -> Result<Self, SidecarError> {
        let view = View::new(&file.shown());
        let (listeners, stop) = (TaskTracker::new(), CancellationToken::new());
        let (admin, traces) = (plan.admin.clone(), plan.traces.clone());
        if let Some(admin) = &admin {
            admin::record();
            let listener = listen("admin", admin.listen).await?;
            listeners.spawn(admin::serve(listener, view.clone(), stop.clone()));
        }
        let mut sessions = Sessions::new(&listeners, &stop);
        sessions.change(plan.session_tokens.take()).await?;
        view.planned(&plan);
        let state_dir = open_state_dir(&plan.running).map_err(SidecarError::Host)?;
        let mut documents = Documents::new(file.remotes().clone(), state_dir);
        documents.change(&plan.documents);
        let fleet = Fleet::start(plan).map_err(SidecarError::Host)?;
        let mut callbacks = Callbacks::new(&listeners, &stop);
        callbacks.follow(&fleet).await?;
        view.observed(&fleet, &documents);
        let announced = false;
        Ok(Self {
            file,
            fleet,
            view,
            listeners,
            stop,
            admin,
            traces,
            sessions,
            callbacks,
            documents,
            announced,
        })
    }

    async fn run(mut self, wishes: &mut Wishes) -> Result<(), SidecarError> {
        let ticks = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut look, mut watch, mut upkeep) = (ticks(LOOK), ticks(WATCH), ticks(UPKEEP));
        let mut alive = ticks(service::watchdog_interval().unwrap_or(UPKEEP));
        let started = Instant::now();
        let mut status = String::new();
        let mut is_settling = false;
        loop {
            tokio::select! {
                wish = wishes.next() => match wish {
                    Wish::Reload => {
                        self.reload();
                        self.documents.refresh();
                    }
                    Wish::TakeOver => self.fleet.take_over(),
                    Wish::End => return self.end(wishes).await,
                },
                read = self.file.next() => match read {
                    Read::Plan(plan, anew) => self.go_over(*plan, anew).await,
                    // A file that is being written changes again: it is read once it stays the same.
                    Read::Changed(true) => is_settling = true,
                    Read::Changed(false) if is_settling => {
                        is_settling = false;
                        self.reload();
                    }
                    Read::Changed(false) => {}
                },
                () = self.documents.changed() => self.file.read_documents(),
                () = self.fleet.settled() => {
                    self.follow().await;
                }
                _ = look.tick() => {
                    self.fleet.tend();
                    self.follow().await;
                    if self.fleet.has_ended() {
                        self.fleet.stop().await;
                        return Err(SidecarError::Ended);
                    }
                    let now = self.fleet.status();
                    if !self.announced && (self.fleet.is_ready() || started.elapsed() > PATIENCE) {
                        self.announced = true;
                        service::ready(&now);
                    }
                    if now != status {
                        service::status(&now);
                        status = now;
                    }
                }
                _ = watch.tick(), if self.fleet.plan.running.watch => self.file.look(),
                _ = upkeep.tick() => {
                    descriptors::refill();
                    if self.admin.is_some() {
                        admin::upkeep();
                    }
                }
                _ = alive.tick() => service::alive(),
            }
        }
    }

    /// Has the listeners be those of the entities as they are now.
    async fn follow(&mut self) {
        self.view.observed(&self.fleet, &self.documents);
        if let Err(error) = self.callbacks.follow(&self.fleet).await {
            tracing::error!(%error, "calls over HTTP cannot be taken");
        }
    }

    /// Reads the file as it is now.
    fn reload(&mut self) {
        if self.announced {
            service::reloading();
        }
        self.file.read();
    }

    /// Goes over to a plan, if it can be used.
    async fn go_over(&mut self, plan: Result<Plan, ConfigError>, anew: Anew) {
        let (outcome, problem) = match plan {
            Ok(plan) if plan.entities.is_empty() => ("refused", Some(SidecarError::NoEntity.to_string())),
            // Whatever is wrong with a plan was found when it was made. A panic is a mistake, and no reason to end.
            Ok(plan) => {
                AssertUnwindSafe(self.take_over(plan, anew)).catch_unwind().await.unwrap_or_else(|_panic| {
                    ("partial", Some("it panicked, which is a mistake of the sidecar: restart it".to_owned()))
                })
            }
            Err(error) => ("refused", Some(error.to_string())),
        };
        match &problem {
            None if anew == Anew::Documents => tracing::info!("the documents are in use as they are now"),
            None => tracing::info!("the file is in use as it is now"),
            // One line for each, since a line break inside of a line would be escaped.
            Some(problem) => {
                for line in problem.lines().map(str::trim) {
                    tracing::error!("{line}");
                }
                if anew == Anew::Documents {
                    tracing::error!("a document that changed is not in use as it is now");
                } else if outcome == "partial" {
                    tracing::error!("the file is in use as it is now, but for this");
                } else {
                    tracing::error!("the file is not used, everything stays as it was");
                }
            }
        }
        if anew == Anew::File {
            metrics::counter!("platools_sidecar_reloads_total", "outcome" => outcome).increment(1);
            self.view.reloaded(problem);
        }
        self.view.observed(&self.fleet, &self.documents);
        if self.announced {
            service::ready(&self.fleet.status());
        }
    }

    /// Goes over to another plan, which was checked: how that went, and what is wrong.
    async fn take_over(&mut self, mut plan: Plan, anew: Anew) -> (&'static str, Option<String>) {
        // First, as the only thing that may turn out to be impossible.
        if let Err(error) = self.sessions.change(plan.session_tokens.take()).await {
            return ("refused", Some(error.to_string()));
        }
        for warning in &plan.warnings {
            if anew == Anew::File || !self.fleet.plan.warnings.contains(warning) {
                tracing::warn!("{warning}");
            }
        }
        logs::change(&self.fleet.plan.log, &plan.log);
        for (is_changed, what) in [
            (plan.admin != self.admin, "`[admin]`"),
            (plan.traces != self.traces, "`[traces]`"),
            (plan.running.state_dir != self.fleet.plan.running.state_dir, "`state_dir` of `[sidecar]`"),
        ] {
            if is_changed {
                tracing::warn!("{what} changed: that needs a restart");
            }
        }
        // Files of one process are not left in two directories, nor is one directory without what the other has.
        let state_dir = &self.fleet.plan.running.state_dir;
        for entity in &mut plan.entities {
            entity.config.state_dir.clone_from(state_dir);
        }
        plan.running.state_dir.clone_from(state_dir);
        self.view.planned(&plan);
        self.documents.change(&plan.documents);
        let changed = self.fleet.change(plan);
        let listening = self.callbacks.follow(&self.fleet).await.map_err(|error| error.to_string());
        match changed.and(listening) {
            Ok(()) => ("ok", None),
            Err(problem) => ("partial", Some(problem)),
        }
    }

    /// Ends in order, unless somebody asks twice.
    async fn end(mut self, wishes: &mut Wishes) -> Result<(), SidecarError> {
        tracing::info!("stopping: calls that run may finish; a second Ctrl-C stops at once");
        service::stopping();
        self.view.stopping();
        let again = async { while wishes.next().await != Wish::End {} };
        tokio::select! {
            () = self.fleet.stop() => {}
            () = again => return Err(SidecarError::Interrupted),
        }
        self.stop.cancel();
        self.listeners.close();
        // Whoever keeps a connection open to a listener does not keep the sidecar.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.listeners.wait()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
