//! `[[entity]]`: the connections to the platform.

use std::path::Path;

use platools::host::{ConfigError, WhenSuperseded};
use platools::{HostConfig, SecretSource};

use super::fingerprint::{Fingerprint, Fingerprinter};
use super::{Planner, quietly};
use crate::config::{Entity, Entry, Problem, Superseded};

/// A connection to the platform.
#[derive(Debug, Clone)]
pub(crate) struct EntityPlan {
    pub(crate) name: String,
    pub(crate) config: HostConfig,
    pub(crate) secret: SecretSource,
    /// The same for a connection that is the same. A secret that a variable or a file holds changes nothing when it is
    /// rotated: the host finds it by itself.
    pub(crate) fingerprint: Fingerprint,
}

impl Planner<'_> {
    /// All of them that are right; the environment's where the file has none.
    pub(super) fn entities(&mut self, state_dir: Option<&Path>) -> Vec<EntityPlan> {
        let sections = self.sections;
        let mut seen: Vec<(&str, Option<&str>)> = Vec::new();
        for Entry { at, value } in &sections.entities {
            let key = (value.name.as_str(), value.environment.as_deref());
            if seen.iter().any(|(name, _)| *name == key.0) {
                self.wrong(&at.key("name"), format!("the entity `{}` stands there twice", value.name));
            }
            seen.push(key);
        }
        let mut planned: Vec<EntityPlan> = if sections.entities.is_empty() {
            self.entity_of_environment().into_iter().collect()
        } else {
            sections.entities.iter().filter_map(|entry| self.entity(entry)).collect()
        };
        for entity in &mut planned {
            entity.config.state_dir = state_dir.map(Path::to_owned);
        }
        planned
    }

    /// The entity that the PLATOS_… variables name, where they name one.
    fn entity_of_environment(&mut self) -> Option<EntityPlan> {
        let config = HostConfig::from_env();
        let mut config = match config {
            Ok(config) => config,
            Err(error) => {
                self.problems.push(Problem::of_file(error.to_string()));
                return None;
            }
        };
        let (Some(url), Some(secret)) = (config.url.clone(), config.secret.clone()) else {
            self.warnings.push(Problem::of_file(
                "there is no platform to connect to: add an `[[entity]]`, or set PLATOS_URL and PLATOS_SECRET",
            ));
            return None;
        };
        if let Some(grace) = self.sections.sidecar.shutdown_grace {
            config.shutdown_grace = grace.0;
        }
        config.proxy = Some(self.proxy.config.clone());
        let name = config.entity.clone().unwrap_or_else(|| "default".to_owned());
        let proxy = self.proxy.fingerprint.as_bytes();
        let fingerprint = Fingerprinter::default().add(&url).add(&proxy).finish();
        Some(EntityPlan { name, config, secret, fingerprint })
    }

    fn entity(&mut self, Entry { at, value: file }: &Entry<Entity>) -> Option<EntityPlan> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if !(1..=64).contains(&file.name.len()) || !file.name.chars().all(allowed) {
            self.wrong(
                &at.key("name"),
                "names of entities have 1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`",
            );
        }
        let url = match file.url.strip_prefix("env:") {
            None => Ok(file.url.clone()),
            Some(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable `{name}` is not set: set it for the sidecar")),
        };
        let url = self.noted(&at.key("url"), url)?;
        let reference = self.secret_ref(&at.key("secret"), &file.secret);
        let secret = reference.source();
        let loaded = secret.load().map_err(|error| error.to_string());
        let is_there = self.noted(&at.key("secret"), loaded.map(drop));
        let mut config = HostConfig::default();
        config.url = Some(url.clone());
        config.secret = Some(secret.clone());
        config.entity = Some(file.name.clone());
        config.environment.clone_from(&file.environment);
        let certificates = match &file.ca_file {
            None => None,
            Some(path) => {
                config.ca_file = Some(self.file(path));
                Some(self.read_file(&at.key("ca_file"), path)?)
            }
        };
        config.allow_insecure = file.allow_insecure;
        config.proxy = Some(self.proxy.config.clone());
        config.describe_parameters = file.describe_parameters;
        config.when_superseded = match file.when_superseded {
            Superseded::StandBy => WhenSuperseded::StandBy,
            Superseded::Exit => WhenSuperseded::Exit,
            Superseded::TakeOver => WhenSuperseded::TakeOver,
        };
        if let Some(interval) = file.heartbeat_interval {
            config.heartbeat_interval = interval.0;
        }
        if let Some(running) = file.max_running {
            config.limits.max_running = running;
        }
        if let Some(waiting) = file.max_waiting {
            config.limits.max_waiting = waiting;
        }
        if let Some(bytes) = file.max_unsent_bytes {
            config.limits.max_unsent_bytes = bytes;
        }
        if let Some(bytes) = file.max_kept_bytes {
            config.limits.max_kept_bytes = bytes;
        }
        if let Some(grace) = self.sections.sidecar.shutdown_grace {
            config.shutdown_grace = grace.0;
        }
        if file.max_running == Some(0) {
            self.wrong(&at.key("max_running"), "no call could ever run: write 1 or more");
        }
        is_there?;
        // The library judges URL, certificates and bounds.
        let built = quietly(|| platools::Platools::new(config.clone()).tools([]).build());
        let key = match &built {
            Err(platools::Error::Config(ConfigError::Setting { setting, .. })) => {
                setting.rsplit('.').next().unwrap_or(setting)
            }
            _ => "url",
        };
        self.noted(&at.key(key), built.map(drop).map_err(|error| error.to_string()))?;
        let inline = match &reference {
            crate::config::SecretRef::Inline(text) => Some(text.expose()),
            _ => None,
        };
        let fingerprint = Fingerprinter::default().add(file).add(&url).add(&certificates).add(&inline);
        let fingerprint = fingerprint.add(&self.proxy.fingerprint.as_bytes()).finish();
        Some(EntityPlan { name: file.name.clone(), config, secret, fingerprint })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clients, Files, plan};
    use super::*;

    async fn fingerprint(secret: &str) -> Fingerprint {
        let text = format!("[[entity]]\nname = \"a\"\nurl = \"ws://127.0.0.1:1/\"\nsecret = \"{secret}\"\n");
        let (mut clients, mut files) = (Clients::default(), Files::default());
        let planned = plan("f", &text, "/".as_ref(), &mut clients, &mut files).await.unwrap();
        planned.entities[0].fingerprint.clone()
    }

    #[tokio::test]
    async fn all_entities_share_the_state_directory_beside_the_file() {
        let entity = |name: &str| {
            format!(
                "[[entity]]\nname = \"{name}\"\nurl = \"ws://127.0.0.1:1/\"\nsecret = \"a-secret-of-some-length\"\n"
            )
        };
        let text = format!("{}{}[sidecar]\nstate_dir = \"state\"\n", entity("a"), entity("b"));
        let folder = std::env::temp_dir().join("platools-no-such-folder");
        let (mut clients, mut files) = (Clients::default(), Files::default());
        let planned = plan("f", &text, &folder, &mut clients, &mut files).await.unwrap();
        let directories: Vec<_> =
            planned.entities.iter().map(|entity| entity.config.state_dir.clone()).collect();
        assert_eq!(directories, [Some(folder.join("state")), Some(folder.join("state"))]);
        assert!(!folder.exists(), "nothing is created before a host runs");
    }

    #[tokio::test]
    async fn a_secret_that_stands_in_the_file_is_another_connection_when_it_changes() {
        let one = fingerprint("the-first-secret-of-it").await;
        assert!(one == fingerprint("the-first-secret-of-it").await);
        assert!(one != fingerprint("another-secret-of-it").await);
    }
}
