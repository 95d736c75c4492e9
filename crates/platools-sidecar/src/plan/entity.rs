//! `[[entity]]`: the connections to the platform.

use std::net::SocketAddr;
use std::path::Path;

use platools::host::{ConfigError, WhenSuperseded};
use platools::wire::{ConnectUrl, same_environment};
use platools::{HostConfig, SecretSource};
use platools_fleet::Fleet;
use platools_net::callback::{CallbackError, callback_url, is_plainly_private};
use url::Url;

use super::{Planner, address, quietly};
use crate::config::{Entity, Entry, Path as At, Problem, Superseded, listed};
use crate::fingerprint::{Fingerprint, Fingerprinter};

/// A connection to the platform.
#[derive(Debug, Clone)]
pub(crate) struct EntityPlan {
    pub(crate) name: String,
    pub(crate) config: HostConfig,
    pub(crate) secret: SecretSource,
    pub(crate) callback: Option<CallbackPlan>,
    /// The replicas that share its connection.
    pub(crate) fleet: Option<Fleet>,
    /// The same for a connection that is the same. A secret that a variable or a file holds changes nothing when it is
    /// rotated: the host finds it by itself.
    pub(crate) fingerprint: Fingerprint,
}

/// Where the platform calls over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct CallbackPlan {
    /// The URL without its query, which may hold a token.
    pub(crate) shown: String,
    /// The path of the URL.
    pub(crate) path: String,
    /// Where the calls are taken, if that is here.
    pub(crate) listen: Option<SocketAddr>,
}

impl EntityPlan {
    /// The URL to connect to, with everything that it names.
    fn connect_url(&self) -> Option<ConnectUrl> {
        let HostConfig { url, entity, environment, .. } = &self.config;
        ConnectUrl::new(url.as_deref()?, entity.as_deref(), environment.as_deref()).ok()
    }

    fn names_environment(&self) -> bool {
        self.connect_url().is_some_and(|url| url.environment().is_some())
    }

    /// The environment, by one of its names.
    fn environment(&self) -> String {
        // The platform's default.
        self.connect_url().and_then(|url| url.environment()).unwrap_or_else(|| "dev".to_owned())
    }
}

impl CallbackPlan {
    fn new(mut url: Url, listen: Option<SocketAddr>) -> Self {
        let path = url.path().to_owned();
        url.set_query(None);
        url.set_fragment(None);
        Self { shown: url.into(), path, listen }
    }
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
        self.check_callback_addresses();
        let mut planned: Vec<EntityPlan> = if sections.entities.is_empty() && !sections.has_unread("entity") {
            self.entity_of_environment().into_iter().collect()
        } else {
            sections.entities.iter().filter_map(|entry| self.entity(entry)).collect()
        };
        let is_whole = !sections.has_unread("entity") && planned.len() == sections.entities.len();
        if !sections.entities.is_empty() && is_whole {
            self.check_variables(&planned, |variable| std::env::var(variable).ok());
        }
        let fleet = self.fleet();
        for entity in &mut planned {
            entity.config.state_dir = state_dir.map(Path::to_owned);
            if let (Some(fleet), Some(Entry { value, .. })) = (&fleet, &sections.fleet) {
                entity.fleet = Some(fleet.another());
                let before = entity.fingerprint.as_bytes();
                entity.fingerprint = Fingerprinter::default().add(before).add(value).finish();
            }
        }
        planned
    }

    /// Checks that the variables that name an entity and an environment name one of the file's.
    fn check_variables(&mut self, planned: &[EntityPlan], lookup: impl Fn(&str) -> Option<String>) {
        let set = |variable: &'static str| {
            lookup(variable).filter(|value| !value.is_empty()).map(|value| (variable, value))
        };
        let mut named: Vec<&EntityPlan> = planned.iter().collect();
        if let Some((variable, entity)) = set("PLATOS_ENTITY") {
            let all: Vec<&str> = planned.iter().map(|planned| planned.name.as_str()).collect();
            named.retain(|planned| planned.name == entity);
            if named.is_empty() {
                let of_file = listed(&all);
                self.differs(0, "name", format!(
                    "{variable} names the entity `{entity}`, and the file {of_file}: name the same, or unset {variable}"
                ));
                return;
            }
        }
        for (variable, environment) in ["PLATOS_ENV", "PLATOS_ENV_ID"].into_iter().filter_map(set) {
            let fits = |planned: &&EntityPlan| same_environment(&planned.environment(), &environment);
            if named.iter().any(fits) {
                continue;
            }
            let Some(first) = named.first() else { return };
            let index = planned.iter().position(|planned| planned.name == first.name).unwrap_or_default();
            let of_file = first.environment();
            self.differs(index, "environment", format!(
                "{variable} names the environment `{environment}`, and the entity `{}` is in `{of_file}`{}: name the same, \
                 or unset {variable}",
                first.name,
                if first.names_environment() { "" } else { ", since nothing in the file names another one" },
            ));
        }
    }

    /// Notes what is wrong with a key of a section, or with the section where the key is missing.
    fn differs(&mut self, section: usize, key: &str, message: String) {
        let sections = self.sections;
        if let Some(entry) = sections.entities.get(section) {
            self.wrong(&entry.at.key(key), message);
        }
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
            self.missing.push(Problem::of_file(
                "there is no platform to connect to: write an `[[entity]]`, or set PLATOS_URL, PLATOS_SECRET and \
                 PLATOS_ENTITY",
            ));
            return None;
        };
        config.limits = self.limits.clone();
        if let Some(grace) = self.sections.sidecar.shutdown_grace {
            config.shutdown_grace = grace.0;
        }
        config.proxy = Some(self.proxy.config.clone());
        // The file's is one of the file's tools.
        config.ping &= !self.sections.sidecar.ping;
        // The URL may be what names the entity.
        let connect = ConnectUrl::new(&url, config.entity.as_deref(), config.environment.as_deref());
        let name = connect.ok().and_then(|url| url.entity()).unwrap_or_else(|| "default".to_owned());
        let callback = config.callback_url.as_ref();
        let callback = callback.and_then(|text| callback_url(text, config.allow_insecure).ok());
        if callback.is_some() {
            self.warnings.push(Problem::of_file(
                "nothing here takes the calls to PLATOS_CALLBACK_URL: write an `[[entity]]` with `callback_url` and \
                 `callback_listen` instead",
            ));
        }
        let callback = callback.map(|url| CallbackPlan::new(url, None));
        let proxy = self.proxy.fingerprint.as_bytes();
        let fingerprint = Fingerprinter::default().add(&url).add(&proxy).finish();
        Some(EntityPlan { name, config, secret, callback, fleet: None, fingerprint })
    }

    #[expect(clippy::too_many_lines, reason = "one key of the section after the other")]
    fn entity(&mut self, Entry { at, value: file }: &Entry<Entity>) -> Option<EntityPlan> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if !(1..=64).contains(&file.name.len()) || !file.name.chars().all(allowed) {
            self.wrong(
                &at.key("name"),
                "names of entities have 1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`",
            );
        }
        let url = self.text_or_variable(&at.key("url"), &file.url, "wss://not-set.invalid/tools/sync");
        let callback = self.callback(at, file);
        let reference = self.known_secret(&at.key("secret"), &file.secret);
        let secret = reference.source();
        let loaded = secret.load().map_err(|error| error.to_string());
        let has_secret = self.noted(&at.key("secret"), loaded.map(drop)).is_some();
        let mut config = HostConfig::default();
        config.limits = self.limits.clone();
        // In place of one that is wrong, so that everything else is judged.
        let any_secret = || SecretSource::text("not-set-not-set-not-set");
        config.secret = Some(if has_secret { secret.clone() } else { any_secret() });
        config.url.clone_from(&url);
        config.entity = Some(file.name.clone());
        config.environment.clone_from(&file.environment);
        let certificates = match &file.ca_file {
            None => Some(None),
            Some(path) => {
                let text = self.read_file(&at.key("ca_file"), path);
                // One that cannot be read has been told of.
                config.ca_file = text.as_ref().map(|_| self.file(&at.key("ca_file"), path));
                text.map(Some)
            }
        };
        config.allow_insecure = file.allow_insecure;
        config.proxy = Some(self.proxy.config.clone());
        config.describe_parameters = file.describe_parameters;
        config.callback_url = callback.iter().flatten().map(|url| url.as_str().to_owned()).next();
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
        if let Some(bytes) = file.max_argument_bytes {
            config.limits.max_argument_bytes = bytes;
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
        for (value, key) in
            [(file.max_running, "max_running"), (file.max_argument_bytes, "max_argument_bytes")]
        {
            if value == Some(0) {
                self.wrong(&at.key(key), "no call could ever run: write 1 or more");
            }
        }
        // What was said above is not said again, and hides nothing else.
        config.limits.max_running = config.limits.max_running.max(1);
        config.limits.max_argument_bytes = config.limits.max_argument_bytes.max(1);
        let url = url?;
        // The library judges URL, certificates and bounds.
        let built = quietly(|| platools::Platools::new(config.clone()).tools([]).build());
        let key = match &built {
            Err(platools::Error::Config(ConfigError::Setting { setting, .. })) => {
                setting.rsplit('.').next().unwrap_or(setting)
            }
            _ => "url",
        };
        let problem = |error| {
            match error {
            platools::Error::Config(ConfigError::Url(error)) => error.to_string(),
            platools::Error::Config(ConfigError::Insecure) => {
                "the platform's URL is not encrypted (ws:// to a host that is not this machine), so others could read the \
                 secret: use wss://, or write `allow_insecure = true` if the network is trusted"
                    .to_owned()
            }
            error => error.to_string(),
        }
        };
        let built = self.noted(&at.key(key), built.map(drop).map_err(problem));
        let (callback, certificates) = (callback?, certificates?);
        built.filter(|()| has_secret)?;
        let inline = match &reference {
            crate::config::SecretRef::Inline(text) => Some(text.expose()),
            _ => None,
        };
        // Limits change in place.
        let connection = Entity {
            max_running: None,
            max_waiting: None,
            max_argument_bytes: None,
            max_unsent_bytes: None,
            max_kept_bytes: None,
            ..file.clone()
        };
        let fingerprint = Fingerprinter::default().add(&connection).add(&url).add(&certificates).add(&inline);
        let fingerprint =
            fingerprint.add(&self.proxy.fingerprint.as_bytes()).add(&config.callback_url).finish();
        let callback = callback.map(|url| CallbackPlan::new(url, file.callback_listen));
        Some(EntityPlan { name: file.name.clone(), config, secret, callback, fleet: None, fingerprint })
    }

    /// The callback URL of an entity, if it has one. `None` when there is something wrong with it.
    #[expect(clippy::option_option, reason = "the outer one is a problem that was noted")]
    fn callback(&mut self, at: &At, file: &Entity) -> Option<Option<Url>> {
        let key = at.key("callback_url");
        let Some(text) = &file.callback_url else {
            if file.callback_listen.is_some() {
                self.wrong(
                    &at.key("callback_listen"),
                    "nobody is told to call here: write `callback_url`, the URL under which the platform reaches it",
                );
            }
            return Some(None);
        };
        let text = self.text_or_variable(&key, text, "https://not-set.invalid/calls")?;
        let url = callback_url(&text, file.allow_insecure).map_err(|error| match error {
            CallbackError::PlainText => format!(
                "{error}; for a development platform that takes http://, write `allow_insecure = true`"
            ),
            error => error.to_string(),
        });
        let url = self.noted(&key, url)?;
        if is_plainly_private(&url) {
            self.odd(&key, "this address is not public, so only a development platform calls it");
        }
        if file.callback_listen.is_none() {
            self.odd(
                &key,
                "nothing here takes the calls: write `callback_listen`, such as \"127.0.0.1:8702\", and let the server \
                 with the certificate forward to it",
            );
        }
        Some(Some(url))
    }

    /// Checks that no two listeners have one address.
    fn check_callback_addresses(&mut self) {
        let sections = self.sections;
        let admin = sections.admin.as_ref().map(|admin| admin.value.listen);
        let tokens = sections.session_tokens.as_ref().map(|tokens| tokens.value.listen);
        let mut taken: Vec<SocketAddr> = admin.into_iter().chain(tokens).collect();
        for Entry { at, value } in &sections.entities {
            let Some(wanted) = value.callback_listen else { continue };
            if taken.iter().any(|taken| address::is_taken_by(*taken, wanted)) {
                self.wrong(
                    &at.key("callback_listen"),
                    format!("something else of this file listens on {wanted}: choose another port"),
                );
            }
            taken.push(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clients, Documents, Files, Plan, Purpose, plan};
    use super::*;

    async fn planned(text: &str, folder: &Path) -> Plan {
        let (mut clients, mut documents, mut files) =
            (Clients::default(), Documents::default(), Files::default());
        plan("f", text, folder, &mut clients, &mut documents, &mut files, Purpose::Run).await.unwrap()
    }

    async fn fingerprint(secret: &str) -> Fingerprint {
        let text = format!("[[entity]]\nname = \"a\"\nurl = \"ws://127.0.0.1:1/\"\nsecret = \"{secret}\"\n");
        let planned = planned(&text, "/".as_ref()).await;
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
        let planned = planned(&text, &folder).await;
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
