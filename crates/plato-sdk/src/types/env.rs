//! The request for an environment (plato-api §7).

use serde::Serialize;

use super::open::open_enum;
use crate::error::Error;

/// One environment of a session: a simulator, an artifact, or a machine of given resources.
///
/// ```
/// use plato_sdk::{Compute, Env};
///
/// let crm = Env::simulator("espocrm:staging").alias("crm");
/// let worker = Env::resource("worker", Compute { cpus: 4, memory: 8192, ..Compute::default() });
/// let pinned = Env::artifact("5f0c…").cold_boot();
/// # let _ = (crm, worker, pinned);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Env(Repr);

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Repr {
    Simulator {
        simulator: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dataset: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
        restore_memory: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        sim_config: Option<Resources>,
    },
    Artifact {
        artifact_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
        restore_memory: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        sim_config: Option<Resources>,
    },
    Resource {
        simulator: String,
        sim_config: Compute,
        #[serde(skip_serializing_if = "Option::is_none")]
        alias: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        provider: Option<Provider>,
        #[serde(skip_serializing_if = "Option::is_none")]
        docker_image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rootfs_storage_backend: Option<String>,
        upload_rootfs: bool,
    },
}

open_enum! {
    /// The provider that runs a machine.
    Provider {
        /// Linux.
        Firecracker = "firecracker",
        /// Windows.
        Qemu = "qemu",
    }
}

/// The size of a machine that is made for [`Env::resource`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compute {
    /// Processors, 1 to 8.
    pub cpus: u32,
    /// Memory in MB, 512 to 16 384.
    pub memory: u32,
    /// Disk in MB, 1 024 to 204 800.
    pub disk: u32,
    /// The port of the app.
    pub app_port: u16,
    /// The port of Plato's own messages.
    pub plato_messaging_port: u16,
    /// Ignored by the server.
    pub native_worker: bool,
}

impl Default for Compute {
    fn default() -> Self {
        Self {
            cpus: 1,
            memory: 2048,
            disk: 10_240,
            app_port: 8080,
            plato_messaging_port: 7000,
            native_worker: false,
        }
    }
}

/// Other resources than a simulator or an artifact has of itself; they count for fresh boots only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Processors, 1 to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory in MB, 512 to 16 384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk in MB, 1 024 to 204 800.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
}

impl Env {
    /// A simulator by its name, with what is pinned of it: `name`, `name:tag`, `name:version@dataset` or
    /// `name@dataset`. What Plato takes where nothing is pinned is its own affair and may change.
    pub fn simulator(name: &str) -> Self {
        let (name, dataset) = match name.split_once('@') {
            Some((name, dataset)) => (name, Some(dataset.to_owned())),
            None => (name, None),
        };
        let (simulator, pinned) = match name.split_once(':') {
            Some((simulator, pinned)) => (simulator, Some(pinned.to_owned())),
            None => (name, None),
        };
        // With a dataset beside it, what stands behind the colon is a version.
        let (tag, version) = if dataset.is_some() { (None, pinned) } else { (pinned, None) };
        Self(Repr::Simulator {
            simulator: simulator.to_owned(),
            tag,
            version,
            dataset,
            alias: None,
            restore_memory: true,
            sim_config: None,
        })
    }

    /// An artifact, which is a snapshot of a machine.
    pub fn artifact(artifact_id: impl Into<String>) -> Self {
        let artifact_id = artifact_id.into();
        Self(Repr::Artifact { artifact_id, alias: None, restore_memory: true, sim_config: None })
    }

    /// A fresh machine.
    pub fn resource(simulator: impl Into<String>, compute: Compute) -> Self {
        Self(Repr::Resource {
            simulator: simulator.into(),
            sim_config: compute,
            alias: None,
            provider: None,
            docker_image_url: None,
            rootfs_storage_backend: None,
            upload_rootfs: true,
        })
    }

    /// The environment's name in its session; `env-` and eight random digits unless said otherwise.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        let (Repr::Simulator { alias, .. } | Repr::Artifact { alias, .. } | Repr::Resource { alias, .. }) =
            &mut self.0;
        *alias = Some(name.into());
        self
    }

    /// The tag of a simulator; nothing else has one. One in the simulator's name wins.
    pub fn tag(mut self, name: impl Into<String>) -> Self {
        if let Repr::Simulator { tag: tag @ None, .. } = &mut self.0 {
            *tag = Some(name.into());
        }
        self
    }

    /// The version of a simulator; nothing else has one. One in the simulator's name wins.
    pub fn version(mut self, name: impl Into<String>) -> Self {
        if let Repr::Simulator { version: version @ None, .. } = &mut self.0 {
            *version = Some(name.into());
        }
        self
    }

    /// The dataset of a simulator; nothing else has one. It wins over one in the simulator's name.
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        if let Repr::Simulator { dataset, .. } = &mut self.0 {
            *dataset = Some(name.into());
        }
        self
    }

    /// Boots from disk instead of waking from memory; a fresh machine does that anyway.
    pub fn cold_boot(mut self) -> Self {
        if let Repr::Simulator { restore_memory, .. } | Repr::Artifact { restore_memory, .. } = &mut self.0 {
            *restore_memory = false;
        }
        self
    }

    /// Other resources than the simulator's or artifact's own.
    pub fn resources(mut self, resources: Resources) -> Self {
        if let Repr::Simulator { sim_config, .. } | Repr::Artifact { sim_config, .. } = &mut self.0 {
            *sim_config = Some(resources);
        }
        self
    }

    /// The provider of a fresh machine; [`Provider::Qemu`] is Windows.
    pub fn provider(mut self, name: Provider) -> Self {
        if let Repr::Resource { provider, .. } = &mut self.0 {
            *provider = Some(name);
        }
        self
    }

    /// The container image that a fresh machine is made of.
    pub fn docker_image(mut self, url: impl Into<String>) -> Self {
        if let Repr::Resource { docker_image_url, .. } = &mut self.0 {
            *docker_image_url = Some(url.into());
        }
        self
    }

    /// Where a fresh machine's disk is kept, such as `snapshot-store`, and whether it is uploaded at all.
    pub fn rootfs(mut self, backend: Option<String>, upload: bool) -> Self {
        if let Repr::Resource { rootfs_storage_backend, upload_rootfs, .. } = &mut self.0 {
            *rootfs_storage_backend = backend;
            *upload_rootfs = upload;
        }
        self
    }

    /// The name that was given with [`alias`](Self::alias).
    pub fn alias_name(&self) -> Option<&str> {
        let (Repr::Simulator { alias, .. } | Repr::Artifact { alias, .. } | Repr::Resource { alias, .. }) =
            &self.0;
        alias.as_deref()
    }

    pub(crate) fn simulator_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Simulator { simulator, .. } | Repr::Resource { simulator, .. } => Some(simulator),
            Repr::Artifact { .. } => None,
        }
    }

    /// Gives it an alias if it has none.
    pub(crate) fn named(self) -> Self {
        if self.alias_name().is_some() { self } else { self.alias(format!("env-{:08x}", fastrand::u32(..))) }
    }

    /// # Errors
    /// When a resource is out of the range that Plato takes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (cpus, memory, disk) = match &self.0 {
            Repr::Resource { sim_config, .. } => {
                (Some(sim_config.cpus), Some(sim_config.memory), Some(sim_config.disk))
            }
            Repr::Simulator { sim_config, .. } | Repr::Artifact { sim_config, .. } => {
                let own = sim_config.clone().unwrap_or_default();
                (own.cpus, own.memory, own.disk)
            }
        };
        for (what, value, range) in [
            ("processors", cpus, 1..=8),
            ("MB of memory", memory, 512..=16_384),
            ("MB of disk", disk, 1_024..=204_800),
        ] {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let (least, most) = range.into_inner();
                return Err(Error::InvalidInput(format!(
                    "{value} {what} cannot be had: an environment has {least} to {most}"
                )));
            }
        }
        match self.simulator_name() {
            Some("") => Err(Error::InvalidInput("an environment has no simulator: name one".to_owned())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wire(env: &Env) -> Value {
        serde_json::to_value(env).unwrap()
    }

    #[test]
    fn what_is_pinned_in_a_simulators_name_goes_to_its_field() {
        let simulator = |name: &str| wire(&Env::simulator(name));
        let plain = json!({"type": "simulator", "simulator": "x", "restore_memory": true});
        assert_eq!(simulator("x"), plain);
        assert_eq!(simulator("x:staging")["tag"], "staging");
        let pinned = simulator("x:v1@base");
        assert_eq!((&pinned["version"], &pinned["dataset"]), (&json!("v1"), &json!("base")));
        assert_eq!(pinned.get("tag"), None);
        assert_eq!(simulator("x@blank")["dataset"], "blank");
        let env = Env::simulator("x:staging@a").tag("t").version("w").dataset("b").cold_boot();
        let expected = json!({"type": "simulator", "simulator": "x", "tag": "t", "version": "staging",
            "dataset": "b", "restore_memory": false});
        assert_eq!(wire(&env), expected);
    }

    #[test]
    fn artifacts_and_fresh_machines_have_their_own_fields() {
        let artifact = Env::artifact("a").alias("desktop").tag("none").provider(Provider::Qemu);
        let expected =
            json!({"type": "artifact", "artifact_id": "a", "alias": "desktop", "restore_memory": true});
        assert_eq!(wire(&artifact), expected);
        let machine = Env::resource("w", Compute::default()).provider(Provider::Qemu).docker_image("i");
        let expected = json!({"type": "resource", "simulator": "w", "sim_config": {"cpus": 1, "memory": 2048,
            "disk": 10240, "app_port": 8080, "plato_messaging_port": 7000, "native_worker": false},
            "provider": "qemu", "docker_image_url": "i", "upload_rootfs": true});
        assert_eq!(wire(&machine), expected);
    }

    #[test]
    fn resources_out_of_range_are_refused_with_the_range() {
        for (compute, part) in [
            (Compute { cpus: 9, ..Compute::default() }, "1 to 8"),
            (Compute { memory: 511, ..Compute::default() }, "512 to 16384"),
            (Compute { disk: 0, ..Compute::default() }, "1024 to 204800"),
        ] {
            let error = Env::resource("w", compute).check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let resources = Resources { cpus: Some(0), ..Resources::default() };
        Env::artifact("a").resources(resources).check().unwrap_err();
        Env::simulator("").check().unwrap_err();
        Env::artifact("a").check().unwrap();
    }
}
