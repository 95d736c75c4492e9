//! The configuration file: read into a plan, and watched together with the files that it names.
//!
//! Files are looked at every other second instead of being subscribed to: mounted configurations are swapped behind
//! links, which notifications miss.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Problem};
use crate::disk;
use crate::document::{Documents, Remotes};
use crate::plan::{Clients, Files, Plan, Purpose, plan};

/// The largest file that is read, in bytes.
const MAX_FILE: usize = 16 << 20;

/// The configuration file.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    purpose: Purpose,
    clients: Clients,
    documents: Documents,
    files: Files,
    /// The text of the latest plan.
    text: Option<String>,
}

/// What a plan is made of anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anew {
    /// The file as it is now.
    File,
    /// The documents of servers, and the text of the latest plan: a file that changed may not be right yet, or is not to
    /// be used before somebody says so.
    Documents,
}

impl ConfigFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self::for_purpose(path, Purpose::Run)
    }

    pub(crate) fn for_purpose(path: &Path, purpose: Purpose) -> Self {
        let (clients, documents, files) = (Clients::default(), Documents::default(), Files::default());
        let path = path.to_owned();
        Self { path, purpose, clients, documents, files, text: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The documents of servers that it names.
    pub(crate) fn remotes(&self) -> &Remotes {
        &self.documents.remotes
    }

    /// Makes a plan.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) async fn plan(&mut self, anew: Anew) -> Result<Plan, ConfigError> {
        let shown = self.path.display().to_string();
        let text = match &self.text {
            // What changed of the files since they were noted is still to be noticed.
            Some(text) if anew == Anew::Documents => text.clone(),
            _ => {
                // Those of a file that cannot be used are watched, too: one that was missing may come.
                self.files = Files::default();
                self.files.note(self.path.clone());
                let text = read(&self.path);
                text.map_err(|problem| ConfigError::new(&shown, vec![Problem::of_file(problem)]))?
            }
        };
        let Self { path, purpose, clients, documents, files, .. } = self;
        let plan = plan(&shown, &text, &folder_of(path), clients, documents, files, *purpose).await?;
        self.text = Some(text);
        Ok(plan)
    }

    /// Whether one of the files is another one than when it was read, or looked at here. Blocks its thread.
    pub(crate) fn has_changed(&mut self) -> bool {
        self.files.has_changed()
    }
}

/// Where the relative paths of a file begin.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The text of a file.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    disk::read_text(path, MAX_FILE).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "there is no such file: name another one, or have `platools sidecar init` write one".to_owned()
        }
        ErrorKind::IsADirectory => "this is a folder: name the file in it".to_owned(),
        ErrorKind::FileTooLarge | ErrorKind::InvalidData | ErrorKind::TimedOut => error.to_string(),
        _ => format!("it cannot be read: {error}"),
    })
}
