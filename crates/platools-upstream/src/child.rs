//! A server's process: a group of its own, which ends as a whole, and whose standard error is the log's.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use platools_net::descriptors;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::config::ServerProgram;
use crate::error::shorten;
#[cfg(unix)]
use crate::group::ProcessGroup;
use crate::name::Name;
use crate::ration::Ration;

/// How long a server has to end by itself once its input is closed, and again once it is asked to.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest line of its standard error that is kept together, in bytes.
const MAX_LINE: u64 = 8 << 10;

/// A running server. Dropped, it is killed with all that it started.
pub(crate) struct ServerProcess {
    child: Child,
    #[cfg(unix)]
    group: ProcessGroup,
}

impl ServerProcess {
    /// Starts the program `name` in the log, which has so many lines there.
    pub(crate) fn start(
        name: &Name,
        program: &ServerProgram,
        lines: &Arc<Ration>,
    ) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut command = Command::new(&program.program);
        command.args(&program.arguments).env_clear();
        for name in &program.inherited {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &program.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        descriptors::restore_in(child.id());
        #[cfg(unix)]
        let group = ProcessGroup::of(&child, Duration::ZERO);
        let missing = || io::Error::other("a standard stream is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        tokio::spawn(log_lines(name.clone(), stderr, Arc::clone(lines)));
        let process = Self {
            child,
            #[cfg(unix)]
            group,
        };
        Ok((process, stdin, stdout))
    }

    /// Resolves when the program has ended; what it started may go on. May be dropped at any time.
    pub(crate) async fn exited(&mut self) {
        let _ = self.child.wait().await;
    }

    /// Ends it: by itself, as its input is closed already; else when asked; else at once. What it started and left
    /// behind ends with it.
    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        let mut ended = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await;
        if ended.is_err() {
            #[cfg(unix)]
            self.group.ask();
            ended = tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await;
        }
        #[cfg(unix)]
        self.group.kill();
        #[cfg(not(unix))]
        let _ = self.child.start_kill();
        match ended {
            Ok(status) => status,
            Err(_) => self.child.wait().await,
        }
    }
}

/// Puts each line into the log, unless they are too many; what is no line for long is cut into pieces.
async fn log_lines(name: Name, from: impl AsyncRead + Unpin, ration: Arc<Ration>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = shorten(text.trim_end());
                if text.is_empty() {
                    continue;
                }
                match ration.take() {
                    None => {}
                    Some(0) => tracing::info!(upstream = %name, "{text}"),
                    Some(dropped) => tracing::info!(upstream = %name, dropped, "{text}"),
                }
            }
        }
    }
}
