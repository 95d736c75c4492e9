//! What a file would do, without doing it.

use std::net::SocketAddr;
use std::path::Path;

use platools::{LocalHost, Platools};

use crate::config::{ConfigError, Problem};
use crate::plan::Plan;
use crate::run::{ConfigFile, SidecarError, Upstreams, check_hosts, init_logging};
use crate::traces::Traces;

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
    let plan = planned(file).await?;
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
    })
}

/// The tools of a file in this process, without a platform: for an MCP server of them, and for tests.
///
/// What it refers to runs for as long as this exists.
#[derive(Debug)]
pub struct Local {
    host: LocalHost,
    upstreams: Upstreams,
    traces: Traces,
    is_empty: bool,
}

impl Local {
    /// What runs the tools.
    pub fn host(&self) -> &LocalHost {
        &self.host
    }

    /// Returns whether the file has no tools: none of its own, and no MCP server that brings some.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Logs lines for people at `level`, and hands the spans of calls to the collector of the file's `[traces]`;
    /// `RUST_LOG` wins over the level. Does nothing when the program has a subscriber already.
    pub fn init_logging(&self, level: &str) {
        init_logging(level, self.traces.layer());
    }

    /// Ends the MCP servers that it started, and sends the spans that are left.
    pub async fn stop(mut self) {
        self.upstreams.stop().await;
        self.traces.end().await;
    }
}

/// Makes the tools of a file, and starts the MCP servers that it names. Its `[[entity]]` sections are checked all the
/// same, and then not used.
///
/// # Errors
/// When the file cannot be used.
pub async fn local(file: &Path) -> Result<Local, SidecarError> {
    let plan = planned(file).await?;
    let is_empty = plan.tools.is_empty() && plan.upstreams.is_empty();
    let tools = plan.tools.iter().map(|planned| planned.tool.clone());
    let mut platools = Platools::builder().tools(tools);
    if let Some(plan) = plan.authenticator {
        platools = platools.shared_authenticator(plan.authenticator);
    }
    let traces = Traces::start(plan.traces.as_ref()).map_err(SidecarError::Host)?;
    let host = platools.build_local().map_err(|error| SidecarError::Host(error.to_string()))?;
    let mut upstreams = Upstreams::default();
    upstreams.change(&plan.upstreams).await;
    upstreams.follow_locally(&host);
    Ok(Local { host, upstreams, traces, is_empty })
}

async fn planned(file: &Path) -> Result<Plan, ConfigError> {
    let mut file = ConfigFile::new(file);
    let plan = file.plan().await?;
    let shown = || file.path().display().to_string();
    check_hosts(&plan).map_err(|problems| ConfigError::new(shown(), problems))?;
    Ok(plan)
}
