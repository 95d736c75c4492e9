//! Who reads the file, and looks whether it has changed, while everything else goes on: a reading may take as long as a
//! server that holds a document, and a file may be on a mount that never answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Anew, ConfigFile, fleet};
use crate::config::{ConfigError, Problem};
use crate::document::Remotes;
use crate::plan::Plan;

/// How long a reading may take, with all documents that are fetched. Each file and each document has its own, shorter
/// time; this is for what else may get stuck.
const READING: Duration = Duration::from_secs(300);

/// The file, with its reading and the look at it where there is one.
#[derive(Debug)]
pub(super) struct Reader {
    file: ConfigFile,
    reading: Option<Reading>,
    /// What was asked for once more since that began.
    again: Option<Anew>,
    look: Option<JoinHandle<(ConfigFile, bool)>>,
}

/// A reading on a thread of its own, which the end of the runtime does not wait for.
#[derive(Debug)]
struct Reading {
    read: oneshot::Receiver<(ConfigFile, Result<Plan, ConfigError>)>,
    anew: Anew,
    until: Instant,
    _stop: DropGuard,
}

/// Something about the file that somebody may want to know.
#[derive(Debug)]
pub(super) enum Read {
    /// It was read, or a plan was made with other documents.
    Plan(Box<Result<Plan, ConfigError>>, Anew),
    /// It was looked at: whether one of the files is another one than when it was read, or looked at before.
    Changed(bool),
}

/// The plan of a file, of which every host can run.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) async fn checked(file: &mut ConfigFile) -> Result<Plan, ConfigError> {
    checked_anew(file, Anew::File).await
}

async fn checked_anew(file: &mut ConfigFile, anew: Anew) -> Result<Plan, ConfigError> {
    let plan = file.plan(anew).await?;
    fleet::check(&plan).map_err(|problems| ConfigError::new(file.path().display().to_string(), problems))?;
    Ok(plan)
}

impl Reading {
    fn start(mut file: ConfigFile, anew: Anew) -> Self {
        let reading = async move {
            let plan = checked_anew(&mut file, anew).await;
            (file, plan)
        };
        Self::of(anew, reading)
    }

    fn of<F>(anew: Anew, reading: F) -> Self
    where
        F: Future<Output = (ConfigFile, Result<Plan, ConfigError>)> + Send + 'static,
    {
        let (done, read) = oneshot::channel();
        let (stop, runtime) = (CancellationToken::new(), Handle::current());
        let stopped = stop.clone();
        let reading = move || {
            // A panic ends the reading, of which the receiver hears.
            let read = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(stopped.run_until_cancelled_owned(reading))
            }));
            if let Ok(Some(read)) = read {
                let _ = done.send(read);
            }
        };
        // Without a thread, the receiver hears that there is no reading.
        let _ = thread::Builder::new().name("platools-reader".to_owned()).spawn(reading);
        Self { read, anew, until: Instant::now() + READING, _stop: stop.drop_guard() }
    }
}

impl Reader {
    pub(super) fn new(file: ConfigFile) -> Self {
        Self { file, reading: None, again: None, look: None }
    }

    pub(super) fn shown(&self) -> String {
        self.file.path().display().to_string()
    }

    /// Reads the file as it is now; one that is being read is read once more after that.
    pub(super) fn read(&mut self) {
        self.plan(Anew::File);
    }

    /// Makes a plan of the file as it was read last, with the documents of servers as they are now.
    pub(super) fn read_documents(&mut self) {
        self.plan(Anew::Documents);
    }

    fn plan(&mut self, anew: Anew) {
        match self.reading {
            Some(_) if self.again == Some(Anew::File) => {}
            Some(_) => self.again = Some(anew),
            None => self.reading = Some(Reading::start(self.file.clone(), anew)),
        }
    }

    /// The documents of servers that the file names.
    pub(super) fn remotes(&self) -> &Remotes {
        self.file.remotes()
    }

    /// Looks at the files, unless they are being read or looked at.
    pub(super) fn look(&mut self) {
        if self.reading.is_none() && self.look.is_none() {
            let mut file = self.file.clone();
            self.look = Some(tokio::task::spawn_blocking(move || {
                let has_changed = file.has_changed();
                (file, has_changed)
            }));
        }
    }

    /// What was read or looked at, once it is; never while nothing is.
    pub(super) async fn next(&mut self) -> Read {
        loop {
            tokio::select! {
                plan = read(&mut self.reading) => {
                    let anew = self.reading.as_ref().map_or(Anew::File, |reading| reading.anew);
                    return Read::Plan(Box::new(self.finished(plan)), anew);
                }
                looked = look(&mut self.look) => {
                    self.look = None;
                    // Whatever it saw before a reading began is old.
                    if let Some((file, has_changed)) = looked && self.reading.is_none() {
                        self.file = file;
                        return Read::Changed(has_changed);
                    }
                }
            }
        }
    }

    fn finished(
        &mut self,
        read: Result<(ConfigFile, Result<Plan, ConfigError>), &'static str>,
    ) -> Result<Plan, ConfigError> {
        self.reading = None;
        let plan = match read {
            Ok((file, plan)) => {
                self.file = file;
                plan
            }
            Err(problem) => Err(ConfigError::new(self.shown(), vec![Problem::of_file(problem)])),
        };
        if let Some(anew) = self.again.take() {
            self.plan(anew);
        }
        plan
    }
}

async fn read(
    reading: &mut Option<Reading>,
) -> Result<(ConfigFile, Result<Plan, ConfigError>), &'static str> {
    let Some(reading) = reading else { return std::future::pending().await };
    match timeout_at(reading.until, &mut reading.read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(_)) => Err("reading it panicked, which is a mistake of the sidecar: the log says where"),
        Err(_) => {
            Err("reading it took more than five minutes: a file or a server that it names does not answer")
        }
    }
}

async fn look(look: &mut Option<JoinHandle<(ConfigFile, bool)>>) -> Option<(ConfigFile, bool)> {
    match look {
        Some(look) => look.await.ok(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(read: Read) -> String {
        match read {
            Read::Plan(plan, _) => plan.unwrap_err().to_string(),
            Read::Changed(changed) => panic!("{changed}"),
        }
    }

    #[tokio::test]
    async fn a_reading_that_panics_or_never_ends_is_over_and_the_next_one_begins() {
        let mut reader = Reader::new(ConfigFile::new("/no/such/file.toml".as_ref()));
        reader.reading = Some(Reading::of(Anew::File, async { panic!("as a mistake of ours would") }));
        assert!(problem(reader.next().await).contains("reading it panicked"));
        reader.reading =
            Some(Reading { until: Instant::now(), ..Reading::of(Anew::File, std::future::pending()) });
        reader.read();
        assert!(problem(reader.next().await).contains("does not answer"));
        assert!(problem(reader.next().await).contains("there is no such file"));
    }
}
