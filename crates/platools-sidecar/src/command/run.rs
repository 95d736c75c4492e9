//! A program from its start to its end, with everything it may take: time, output, memory for it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use platools_net::descriptors;
use platools_upstream::ProcessGroup;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::memory::Counted;

/// How much of what a program complains is kept, in bytes: the end of it.
const MAX_STDERR: usize = 8 * 1024;

/// How much output is read at once, in bytes: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How long output may be read after the program is gone, and with it everything that held the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) cwd: Option<PathBuf>,
    /// All variables it has.
    pub(crate) environment: BTreeMap<OsString, OsString>,
    /// The most that is read of its output, in bytes.
    pub(crate) max_output: usize,
    pub(crate) kill_after: Duration,
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The output counts until a result is made of it.
    _counted: Counted,
    /// The end of it.
    pub(crate) stderr: String,
}

/// Why it left nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("it cannot be started: {0}")]
    Start(io::Error),
    #[error("it wrote more than {0} bytes")]
    TooMuch(usize),
    #[error("too much output is being read at the moment")]
    Crowded,
    #[error("it cannot be watched: {0}")]
    Watch(io::Error),
}

impl Program {
    /// Runs it. When the future is dropped, the program and everything it started is ended.
    ///
    /// # Errors
    /// When it cannot be started, or writes more than it may; it is ended then.
    pub(crate) async fn run(&self, args: &[String], stdin: Option<Vec<u8>>) -> Result<Finished, RunError> {
        let mut command = Command::new(&self.path);
        command
            .args(args)
            .env_clear()
            .envs(&self.environment)
            .process_group(0)
            .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        let mut child = command.spawn().map_err(RunError::Start)?;
        descriptors::restore_in(child.id());
        let mut group = ProcessGroup::of(&child, self.kill_after);
        let mut pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut pipe), Some(text)) = (pipes.0.take(), stdin) {
                // A program that does not read to the end is a program like another.
                let _ = pipe.write_all(&text).await;
            }
        };
        let (mut stdout, mut counted) = (Vec::new(), Counted::default());
        let mut stderr = Vec::new();
        let status = {
            let (out, err) = (pipes.1.take(), pipes.2.take());
            let read = async {
                tokio::try_join!(
                    read_up_to(out, &mut stdout, &mut counted, self.max_output),
                    async {
                        read_end(err, &mut stderr).await;
                        Ok(())
                    },
                    async {
                        feed.await;
                        Ok(())
                    },
                )
            };
            tokio::pin!(read);
            let mut is_read = false;
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status.map_err(RunError::Watch)?,
                    // Too much is known before the end; otherwise the program goes on with its pipes closed.
                    outcome = &mut read, if !is_read => {
                        outcome?;
                        is_read = true;
                    }
                }
            };
            // Children that it left behind hold the pipes open, and are of no use to anyone.
            group.kill();
            if !is_read && let Ok(outcome) = tokio::time::timeout(LAST_WORDS, read).await {
                outcome?;
            }
            status
        };
        Ok(Finished {
            status,
            stdout,
            _counted: counted,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }
}

/// Reads all there is, unless that is more than `limit`, or than there is room for.
async fn read_up_to(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    counted: &mut Counted,
    limit: usize,
) -> Result<(), RunError> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    // What cannot be read any more is the end.
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        if length > limit - into.len() {
            return Err(RunError::TooMuch(limit));
        }
        if !counted.add(length) {
            return Err(RunError::Crowded);
        }
        into.extend_from_slice(&chunk[..length]);
    }
    Ok(())
}

/// Reads all there is, and keeps the end.
async fn read_end(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > 2 * MAX_STDERR {
            kept.drain(..kept.len() - MAX_STDERR);
        }
    }
    let surplus = kept.len().saturating_sub(MAX_STDERR);
    kept.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Duration = Duration::from_secs(60);

    fn program() -> Program {
        Program {
            path: "/bin/sh".into(),
            cwd: None,
            environment: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            max_output: 1 << 16,
            kill_after: Duration::from_millis(200),
        }
    }

    async fn sh(script: &str, stdin: Option<&str>) -> Result<Finished, RunError> {
        let args = ["-c".to_owned(), script.to_owned()];
        let run = async { program().run(&args, stdin.map(|text| text.as_bytes().to_vec())).await };
        tokio::time::timeout(GUARD, run).await.expect("it ends")
    }

    /// Waits until a process is gone, or dead and not yet collected.
    async fn is_gone(pid: &str) -> bool {
        let path = format!("/proc/{}/stat", pid.trim());
        let gone = async {
            while std::fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(GUARD, gone).await.is_ok()
    }

    #[tokio::test]
    async fn output_complaints_and_the_exit_code_are_kept_apart() {
        let finished =
            sh("read -r line; echo \"got $line\"; echo oops >&2; exit 3", Some("hello\n")).await.unwrap();
        assert_eq!(finished.stdout, b"got hello\n");
        assert_eq!((finished.stderr.as_str(), finished.status.code()), ("oops\n", Some(3)));
    }

    #[tokio::test]
    async fn nothing_is_inherited_but_what_is_named() {
        let finished = sh("env | cut -d= -f1 | sort | tr '\\n' ' '", None).await.unwrap();
        let names = String::from_utf8(finished.stdout).unwrap();
        // The shell sets some by itself.
        for name in names.split_whitespace() {
            assert!(["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name), "{name}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_cut_off_and_ended() {
        let error =
            sh("echo $$; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyy; done", None).await.unwrap_err();
        assert!(matches!(error, RunError::TooMuch(65_536)), "{error}");
        let finished = sh("yes | head -c 1000000 >&2; echo fine", None).await.unwrap();
        assert_eq!(finished.stdout, b"fine\n");
        assert!(finished.stderr.len() <= MAX_STDERR);
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_what_it_is_given_is_no_problem() {
        let much = "x".repeat(1 << 20);
        assert_eq!(sh("echo fine", Some(&much)).await.unwrap().stdout, b"fine\n");
    }

    #[tokio::test]
    async fn children_that_are_left_behind_end_with_the_program() {
        let finished = sh("sleep 1000 & echo $!", None).await.unwrap();
        assert!(is_gone(&String::from_utf8(finished.stdout).unwrap()).await);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_ends_the_program_its_children_and_those_that_do_not_listen() {
        let file = std::env::temp_dir().join(format!("platools-sidecar-pids-{}", std::process::id()));
        let script = format!(
            "trap '' TERM; (trap '' TERM; sleep 1000; sleep 1000) & echo \"$$ $!\" > {0}.new; mv {0}.new {0}; sleep 1000; sleep 1000",
            file.display()
        );
        let running = tokio::spawn(async move { sh(&script, None).await });
        let pids = async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&file) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let pids = tokio::time::timeout(GUARD, pids).await.unwrap();
        running.abort();
        for pid in pids.split_whitespace() {
            assert!(is_gone(pid).await, "{pid}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_program_is_said() {
        let program = Program { path: "/no/such/program".into(), ..program() };
        let error = program.run(&[], None).await.unwrap_err();
        assert!(error.to_string().starts_with("it cannot be started"), "{error}");
    }
}
