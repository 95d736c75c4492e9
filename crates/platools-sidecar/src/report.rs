//! What a file would do, without doing it.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::{ConfigError, Problem};
use crate::plan::Purpose;
use crate::run::{ConfigFile, Local, SidecarError, checked};
use crate::secrecy;

/// What a file describes, once everything in it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The entities to connect as.
    pub entities: Vec<String>,
    /// Where the platform calls entities over HTTP while their connection is away.
    pub callbacks: Vec<CallbackReport>,
    /// The tools, in the order of their names.
    pub tools: Vec<ToolReport>,
    /// The MCP servers whose tools are taken over. They are not asked: which tools those are is not known.
    pub upstreams: Vec<String>,
    /// The proxy of connections to other machines, without credentials; `None` when there is none.
    pub proxy: Option<String>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
    /// What has to be set before the file can be run.
    pub missing: Vec<Problem>,
}

/// Where the platform calls an entity over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallbackReport {
    /// The entity.
    pub entity: String,
    /// The URL, without its query.
    pub url: String,
    /// The address at which the sidecar takes the calls, if it does.
    pub listen: Option<SocketAddr>,
}

/// A tool that a file describes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolReport {
    /// Its name.
    pub name: String,
    /// The section it comes from, such as `tool.http`.
    pub source: String,
    /// What it does, for the model.
    pub description: String,
    /// The entities that have it; `None` for all.
    pub entities: Option<Vec<String>>,
}

/// Checks a file as [`run`](crate::run) would: every key, every schema, whether secrets are there, whether programs
/// exist. Nothing is connected and nothing is run.
///
/// # Errors
/// Everything that is wrong with it.
pub async fn check(file: &Path) -> Result<Report, ConfigError> {
    checked_for(file, Purpose::Check).await
}

/// Checks a file as [`check`] does, where its secrets are not: those that are missing, and URLs in variables that are not
/// set, are in [`Report::missing`].
///
/// # Errors
/// Everything else that is wrong with it.
pub async fn check_without_secrets(file: &Path) -> Result<Report, ConfigError> {
    checked_for(file, Purpose::CheckWithoutSecrets).await
}

async fn checked_for(file: &Path, purpose: Purpose) -> Result<Report, ConfigError> {
    let plan = checked(&mut ConfigFile::for_purpose(file, purpose)).await?;
    let mut tools: Vec<ToolReport> = plan
        .tools
        .iter()
        .map(|planned| ToolReport {
            name: planned.tool.name().to_owned(),
            source: planned.source.to_owned(),
            description: planned.tool.spec().description.clone(),
            entities: planned.entities.clone(),
        })
        .collect();
    tools.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(Report {
        entities: plan.entities.iter().map(|entity| entity.name.clone()).collect(),
        callbacks: plan
            .entities
            .iter()
            .filter_map(|entity| {
                let callback = entity.callback.as_ref()?;
                let (url, listen) = (callback.shown.clone(), callback.listen);
                Some(CallbackReport { entity: entity.name.clone(), url, listen })
            })
            .collect(),
        tools,
        upstreams: plan.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
        proxy: plan.proxy,
        warnings: plan.warnings,
        missing: plan.missing,
    })
}

/// Makes the tools of a file, and starts the MCP servers that it names. Its `[[entity]]` sections are checked all the
/// same, and then not used. As in [`run`](crate::run), other processes of the user can then no longer read the memory of
/// this one.
///
/// # Errors
/// When the file cannot be used.
pub async fn local(file: &Path) -> Result<Local, SidecarError> {
    secrecy::hide();
    let mut file = ConfigFile::new(file);
    let plan = checked(&mut file).await?;
    Local::start(file, plan)
}
