//! Members as processes, and what they write.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use platools_dev::DevPlatform;
use tokio::sync::watch;

/// What is known of the runs of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// The processes that began it.
    pub(crate) began: Vec<u32>,
    pub(crate) ended: Option<Instant>,
}

/// What all members have written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(pub(crate) Arc<Mutex<HashMap<String, Run>>>);

/// A member.
pub(crate) struct Process {
    child: Child,
    pub(crate) is_killed: bool,
    attached: watch::Receiver<bool>,
}

impl Process {
    pub(crate) fn start(platform: &DevPlatform, nats: &str, build: &str, runs: &Runs) -> Self {
        Self::start_at(&platform.url(), platform.secret().expose(), nats, build, runs, &[])
    }

    /// The same with the URL and the secret of a platform.
    pub(crate) fn start_at(
        url: &str,
        secret: &str,
        nats: &str,
        build: &str,
        runs: &Runs,
        more: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("member")
            .env("PLATOS_URL", url)
            .env("PLATOS_SECRET", secret)
            .env("PLATOOLS_FLEET", nats)
            .env("PLATOOLS_FLEET_BUILD", build)
            .envs(more.iter().copied());
        Self::of(command, runs)
    }

    /// A process that answers bare requests of NATS.
    pub(crate) fn responder(nats: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("responder").env("PLATOOLS_FLEET", nats);
        Self::of(command, &Runs::default())
    }

    fn of(mut command: Command, runs: &Runs) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (id, output, runs) = (child.id(), child.stdout.take().unwrap(), runs.clone());
        let (attaching, attached) = watch::channel(false);
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(std::io::BufReader::new(output)) {
                let Ok(line) = line else { break };
                match line.split_once(' ') {
                    Some((what, call_id)) => {
                        let mut runs = runs.0.lock().unwrap();
                        let run = runs.entry(call_id.to_owned()).or_default();
                        match what {
                            "b" => run.began.push(id),
                            _ => run.ended = Some(Instant::now()),
                        }
                    }
                    None => {
                        attaching.send_replace(true);
                    }
                }
            }
        });
        Self { child, is_killed: false, attached }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn attached(&self) {
        let mut attached = self.attached.clone();
        let waiting = attached.wait_for(|attached| *attached);
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it attaches").expect("it lives");
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        let _ = (self.child.kill(), self.child.wait());
    }

    /// Asks the process to end, and waits for that.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        let id = self.id();
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        let status = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let status = status.unwrap_or_else(|_| panic!("{id} does not end")).unwrap().unwrap();
        if !status.success() {
            println!("member {id} ended with {status}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
