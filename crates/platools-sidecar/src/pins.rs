//! The pinned MCP servers of a file, for an operator who looks at what they changed and accepts it.

use std::path::Path;

use platools::host::StateDir;
use platools_upstream::PinReview;

use crate::config::{ConfigError, Document, Problem, Sections};
use crate::plan::state_dir;
use crate::run::{folder_of, read_config};

/// An MCP server whose tools are pinned.
#[derive(Debug)]
#[non_exhaustive]
pub struct PinnedServer {
    /// Its name in the file.
    pub name: String,
    /// What waits to be accepted.
    pub review: PinReview,
}

/// The MCP servers of a file with `pin = true`. What their tools are now is read from the state directory: nothing is
/// connected, and no secret is needed.
///
/// # Errors
/// When the file cannot be used, or the state directory cannot be read.
pub fn pinned(file: &Path) -> Result<Vec<PinnedServer>, ConfigError> {
    let shown = file.display().to_string();
    let failed = |problem: String| ConfigError::new(&shown, vec![Problem::of_file(problem)]);
    let text = read_config(file).map_err(failed)?;
    let document = Document::parse(&text);
    let (sections, problems) = Sections::read(&document);
    if !problems.is_empty() {
        return Err(ConfigError::new(&shown, problems));
    }
    let servers: Vec<&str> =
        sections.mcp.iter().filter(|mcp| mcp.value.pin).map(|mcp| mcp.value.name.as_str()).collect();
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let directory = state_dir(&sections, &folder_of(file)).ok_or_else(|| {
        failed("there is no state directory: set PLATOOLS_STATE_DIR as for the sidecar".to_owned())
    })?;
    if !directory.is_dir() {
        let directory = directory.display();
        return Err(failed(format!(
            "the state directory `{directory}` is not there yet: start the sidecar first"
        )));
    }
    let directory = StateDir::open(directory).map_err(|error| failed(error.to_string()))?;
    let open = |name: &str| {
        let review = PinReview::open(directory.clone(), name).map_err(|error| {
            failed(format!(
                "what is accepted of `{name}` cannot be read: {error}; run this as the sidecar's user"
            ))
        })?;
        Ok(PinnedServer { name: name.to_owned(), review })
    };
    servers.into_iter().map(open).collect()
}
