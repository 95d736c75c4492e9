//! Who reads the file again while everything else goes on: a reading may take as long as a server that holds a
//! document.

use tokio::task::JoinHandle;

use super::{ConfigFile, fleet};
use crate::config::{ConfigError, Problem};
use crate::plan::Plan;

/// The file, and its reading where there is one.
#[derive(Debug)]
pub(super) struct Reader {
    file: ConfigFile,
    reading: Option<JoinHandle<(ConfigFile, Result<Plan, ConfigError>)>>,
    /// Whether it was asked for once more since that began.
    again: bool,
}

/// The plan of a file, of which every host can run.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) async fn checked(file: &mut ConfigFile) -> Result<Plan, ConfigError> {
    let plan = file.plan().await?;
    fleet::check(&plan).map_err(|problems| ConfigError::new(file.path().display().to_string(), problems))?;
    Ok(plan)
}

impl Reader {
    pub(super) fn new(file: ConfigFile) -> Self {
        Self { file, reading: None, again: false }
    }

    /// Reads the file as it is now; one that is being read is read once more after that.
    pub(super) fn read(&mut self) {
        if self.reading.is_some() {
            self.again = true;
            return;
        }
        let mut file = self.file.clone();
        self.reading = Some(tokio::spawn(async move {
            let plan = checked(&mut file).await;
            (file, plan)
        }));
    }

    /// What was read, once it is; never while nothing is being read.
    pub(super) async fn plan(&mut self) -> Result<Plan, ConfigError> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let read = reading.await;
        self.reading = None;
        let plan = match read {
            Ok((file, plan)) => {
                self.file = file;
                plan
            }
            Err(error) => {
                let shown = self.file.path().display().to_string();
                Err(ConfigError::new(shown, vec![Problem::of_file(format!("reading it failed: {error}"))]))
            }
        };
        if std::mem::take(&mut self.again) {
            self.read();
        }
        plan
    }

    /// Whether one of the files is another one than when it was read, or looked at here; not while it is being read.
    pub(super) fn has_changed(&mut self) -> bool {
        self.reading.is_none() && self.file.has_changed()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}
