//! The properties of an environment.

use std::collections::BTreeMap;
use std::fmt;

use crate::secrets::JobId;
use crate::types::{EnvContext, Provider, Readiness};

/// The properties of an environment, as far as they are known.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) job_id: JobId,
    pub(super) alias: String,
    pub(super) artifact_id: Option<String>,
    pub(super) simulator: Option<String>,
    /// Whether the server says that it is the desktop.
    pub(super) is_flagged: bool,
    pub(super) provider: Option<Provider>,
    pub(super) mesh_ip: Option<String>,
}

impl Known {
    pub(super) fn new(env: EnvContext, results: &BTreeMap<JobId, Readiness>) -> Self {
        let result = results.get(&env.job_id);
        Self {
            mesh_ip: result.and_then(|result| result.mesh_ip.clone()),
            provider: env.provider.or_else(|| result.and_then(|result| result.provider.clone())),
            job_id: env.job_id,
            alias: env.alias,
            artifact_id: env.artifact_id,
            simulator: env.simulator,
            is_flagged: env.is_desktop,
        }
    }

    /// Whether it is a desktop: the server says it, or it is one of the simulators that are.
    pub(super) fn is_desktop(&self) -> bool {
        self.is_flagged || self.is_desktop_simulator()
    }

    pub(super) fn is_desktop_simulator(&self) -> bool {
        matches!(self.simulator.as_deref(), Some("ubuntu-vm" | "windows-vm"))
    }

    /// Whether it has a desktop's agent, which an app that runs on Windows has, too.
    pub(super) fn has_agent(&self) -> bool {
        self.is_desktop() || self.is_windows()
    }

    pub(super) fn is_windows(&self) -> bool {
        self.provider == Some(Provider::Qemu) || self.simulator.as_deref() == Some("windows-vm")
    }

    /// Whether it is there to score the session, and not to be used.
    pub(super) fn is_proctor(&self) -> bool {
        self.alias == "proctor" || self.simulator.as_deref() == Some("proctor")
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("alias", &self.alias)
            .field("job_id", &self.job_id)
            .field("simulator", &self.simulator)
            .finish_non_exhaustive()
    }
}
