//! The configuration of a fleet.

use std::fmt;
use std::path::{Path, PathBuf};

use platools_net::SecretText;
use platools_net::policy::is_loopback_host;

use crate::FleetError;

/// The variables that [`Fleet::from_env`](crate::Fleet::from_env) reads.
pub(crate) const URL: &str = "PLATOOLS_FLEET";
const CREDENTIALS: &str = "PLATOOLS_FLEET_CREDS";
const NKEY: &str = "PLATOOLS_FLEET_NKEY";
const TOKEN: &str = "PLATOOLS_FLEET_TOKEN_FILE";
const CA: &str = "PLATOOLS_FLEET_CA_FILE";
const OPTIONAL: &str = "PLATOOLS_FLEET_OPTIONAL";
const GATEWAY_SERVES: &str = "PLATOOLS_FLEET_GATEWAY_SERVES";
const BUILD: &str = "PLATOOLS_FLEET_BUILD";
const REPLICAS: &str = "PLATOOLS_FLEET_REPLICAS";

/// How a member proves to NATS who it is.
#[derive(Clone, Default)]
pub(crate) enum Login {
    #[default]
    None,
    /// A file with a JWT and a seed.
    Credentials(PathBuf),
    /// A file with a seed.
    Nkey(PathBuf),
    /// A file with a token.
    Token(PathBuf),
}

/// How a fleet is reached, and what this member is.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) urls: Vec<String>,
    pub(crate) login: Login,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) optional: bool,
    pub(crate) gateway_serves_calls: bool,
    pub(crate) build: String,
    pub(crate) name: String,
    pub(crate) replicas: usize,
}

impl Config {
    pub(crate) fn new(urls: &str) -> Result<Self, FleetError> {
        let urls: Vec<String> =
            urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
        if urls.is_empty() {
            return Err(FleetError::Setting { setting: URL, problem: "names no server".to_owned() });
        }
        urls.iter().try_for_each(|url| check_url(url))?;
        Ok(Self {
            urls,
            login: Login::None,
            ca_file: None,
            optional: false,
            gateway_serves_calls: true,
            build: default_build(),
            name: default_name(),
            replicas: 1,
        })
    }

    /// Reads the environment through `lookup`; `None` if there is no fleet.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, FleetError> {
        let lookup = |variable: &str| lookup(variable).filter(|value| !value.trim().is_empty());
        let Some(urls) = lookup(URL) else { return Ok(None) };
        let mut config = Self::new(&urls)?;
        let logins: Vec<Login> = [
            lookup(CREDENTIALS).map(|path| Login::Credentials(path.into())),
            lookup(NKEY).map(|path| Login::Nkey(path.into())),
            lookup(TOKEN).map(|path| Login::Token(path.into())),
        ]
        .into_iter()
        .flatten()
        .collect();
        if logins.len() > 1 {
            let problem = format!("is one of several: set only one of {CREDENTIALS}, {NKEY} and {TOKEN}");
            return Err(FleetError::Setting { setting: CREDENTIALS, problem });
        }
        config.login = logins.into_iter().next().unwrap_or_default();
        config.ca_file = lookup(CA).map(PathBuf::from);
        config.optional = switch(OPTIONAL, lookup(OPTIONAL).as_deref(), false)?;
        config.gateway_serves_calls = switch(GATEWAY_SERVES, lookup(GATEWAY_SERVES).as_deref(), true)?;
        if let Some(build) = lookup(BUILD) {
            config.build = build;
        }
        if let Some(replicas) = lookup(REPLICAS) {
            config.replicas =
                replicas.trim().parse().ok().filter(|count| (1..=5).contains(count)).ok_or_else(|| {
                    let problem = format!("is {replicas:?}, which is not a number from 1 to 5");
                    FleetError::Setting { setting: REPLICAS, problem }
                })?;
        }
        Ok(Some(config))
    }

    /// The options for the client of NATS.
    pub(crate) fn options(&self) -> Result<async_nats::ConnectOptions, FleetError> {
        let mut options = async_nats::ConnectOptions::new();
        match &self.login {
            Login::None => {}
            Login::Credentials(path) => {
                // Its last line needs an end, which was trimmed.
                let text = SecretText::from(format!("{}\n", read(CREDENTIALS, path)?.expose()));
                options = options.credentials(text.expose()).map_err(|_| FleetError::Setting {
                    setting: CREDENTIALS,
                    problem: format!("names {}, which is not a credentials file of NATS", path.display()),
                })?;
            }
            Login::Nkey(path) => {
                options = options.nkey(read(NKEY, path)?.expose().trim().to_owned());
            }
            Login::Token(path) => {
                options = options.token(read(TOKEN, path)?.expose().trim().to_owned());
            }
        }
        if let Some(path) = &self.ca_file {
            read(CA, path)?;
            options = options.add_root_certificates(path.clone());
        }
        let is_encrypted = self.urls.iter().any(|url| url.starts_with("tls://"));
        Ok(options.require_tls(is_encrypted || self.ca_file.is_some()))
    }

    /// A warning for the log if the configuration is valid and probably a mistake.
    pub(crate) fn doubts(&self) -> Vec<&'static str> {
        let mut doubts = Vec::new();
        // Tools for reproducible images set the times of all files to the beginning of 1970 or 1980.
        if self.build.starts_with("1970-01-01T") || self.build.starts_with("1980-01-01T") {
            doubts.push(
                "all builds of the program have the same time, so that nobody can tell which one is newer: set \
                 PLATOOLS_FLEET_BUILD to its version",
            );
        }
        let is_exposed = |url: &String| {
            let host = url.split("://").nth(1).unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            url.starts_with("nats://") && !is_loopback_host(host)
        };
        if matches!(self.login, Login::Token(_)) && self.urls.iter().any(is_exposed) {
            doubts.push("the token for NATS is sent unencrypted: use tls://");
        }
        doubts
    }
}

impl fmt::Debug for Config {
    /// Without what a URL may hold of a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.urls.len())
            .field("name", &self.name)
            .field("build", &self.build)
            .field("optional", &self.optional)
            .field("gateway_serves_calls", &self.gateway_serves_calls)
            .finish_non_exhaustive()
    }
}

fn check_url(url: &str) -> Result<(), FleetError> {
    let problem = |problem: &str| Err(FleetError::Setting { setting: URL, problem: problem.to_owned() });
    let Some((scheme, rest)) = url.split_once("://") else {
        return problem("has a server without a scheme: write nats://HOST:4222 or tls://HOST:4222");
    };
    if !matches!(scheme, "nats" | "tls") {
        return problem("has a server that is neither nats:// nor tls://");
    }
    if rest.contains('@') {
        return problem(
            "holds a password: use PLATOOLS_FLEET_TOKEN_FILE, PLATOOLS_FLEET_NKEY or PLATOOLS_FLEET_CREDS",
        );
    }
    if rest.is_empty() {
        return problem("has a server without a host: write nats://HOST:4222");
    }
    Ok(())
}

fn switch(setting: &'static str, value: Option<&str>, default: bool) -> Result<bool, FleetError> {
    match value.map(str::trim) {
        None => Ok(default),
        Some("1" | "true" | "yes" | "on") => Ok(true),
        Some("0" | "false" | "no" | "off") => Ok(false),
        Some(other) => {
            let problem = format!("is {other:?}: write true or false");
            Err(FleetError::Setting { setting, problem })
        }
    }
}

fn read(setting: &'static str, path: &Path) -> Result<SecretText, FleetError> {
    SecretText::read_file(path).map_err(|error| {
        let problem = format!("names {}, which {error}", path.display());
        FleetError::Setting { setting, problem }
    })
}

/// The time at which the program was built, as the file of the program has it: replicas of one image have the same.
fn default_build() -> String {
    let built = std::env::current_exe().and_then(|path| path.metadata()?.modified());
    built.map_or_else(|_| "unknown".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// The name of the machine, which is that of the pod in Kubernetes, and the process.
fn default_name() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned())
    });
    format!("{}:{}", host.as_deref().unwrap_or("member"), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Option<Config>, FleetError> {
        Config::from_lookup(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn there_is_a_fleet_only_where_its_variable_is_set() {
        assert!(load(&[]).unwrap().is_none() && load(&[(URL, " ")]).unwrap().is_none());
        let config = load(&[(URL, "nats://a:4222, tls://b")]).unwrap().unwrap();
        assert_eq!(config.urls, ["nats://a:4222", "tls://b"]);
        assert!(config.gateway_serves_calls && !config.optional);
        assert!(!config.build.is_empty() && config.name.ends_with(&std::process::id().to_string()));
    }

    #[test]
    fn a_wrong_variable_is_named_with_what_to_do_and_no_secret() {
        let url = (URL, "nats://127.0.0.1:4222");
        for (variables, parts) in [
            (&[(URL, "127.0.0.1:4222")][..], &[URL, "nats://HOST:4222"][..]),
            (&[(URL, "http://x")], &[URL, "neither nats:// nor tls://"]),
            (&[(URL, "nats://user:hunter2@x")], &[URL, "PLATOOLS_FLEET_TOKEN_FILE"]),
            (&[(URL, "nats://")], &[URL, "without a host"]),
            (&[(URL, ",")], &[URL, "names no server"]),
            (&[url, (OPTIONAL, "maybe")], &[OPTIONAL, "true or false"]),
            (&[url, (REPLICAS, "9")], &[REPLICAS, "1 to 5"]),
            (&[url, (NKEY, "a"), (TOKEN, "b")], &[NKEY, TOKEN, "only one"]),
        ] {
            let error = load(variables).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let config = load(&[url, (TOKEN, "/nowhere/token")]).unwrap().unwrap();
        let error = config.options().unwrap_err().to_string();
        assert!(error.contains(TOKEN) && error.contains("/nowhere/token"), "{error}");
    }

    #[test]
    fn a_token_on_an_open_network_is_a_doubt() {
        let doubts = |url: &str| !load(&[(URL, url), (TOKEN, "x")]).unwrap().unwrap().doubts().is_empty();
        assert!(doubts("nats://nats.example:4222") && doubts("nats://10.0.0.1"));
        assert!(!doubts("nats://127.0.0.1:4222") && !doubts("tls://nats.example:4222"));
    }

    #[test]
    fn a_build_that_all_images_have_is_a_doubt() {
        let doubts = |build: &str| load(&[(URL, "nats://x"), (BUILD, build)]).unwrap().unwrap().doubts();
        for build in ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "1980-01-01T00:00:00Z"] {
            let doubts = doubts(build);
            assert!(doubts.len() == 1 && doubts[0].contains(BUILD), "{doubts:?}");
        }
        assert!(doubts("1.4.2").is_empty() && doubts("2026-11-30T09:00:00Z").is_empty());
    }
}
