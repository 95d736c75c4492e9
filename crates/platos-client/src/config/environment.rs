//! A client from the environment.

use platools_net::variables::same;

use super::{ClientBuilder, Scope};
use crate::client::PlatosClient;
use crate::error::ConfigError;

/// A variable, where it is set to something.
fn variable(lookup: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    lookup(name).filter(|value| !value.trim().is_empty())
}

/// A credential from its variable, or from the file that `…_FILE` names.
fn credential(
    lookup: &dyn Fn(&str) -> Option<String>,
    name: &str,
    file: &'static str,
) -> Result<Option<String>, ConfigError> {
    if let Some(value) = variable(lookup, name) {
        return Ok(Some(value));
    }
    let Some(path) = variable(lookup, file) else { return Ok(None) };
    let read = std::fs::read_to_string(path);
    read.map(Some).map_err(|error| ConfigError::CredentialFile { variable: file, problem: error.to_string() })
}

fn scope(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Scope>, ConfigError> {
    // The second names are those of Platos' own guides.
    let organization = same(lookup, &["PLATOS_ORGANIZATION_ID", "PLATOS_ORG_ID"])?;
    let project = same(lookup, &["PLATOS_PROJECT_ID"])?;
    let environment = same(lookup, &["PLATOS_ENVIRONMENT_ID", "PLATOS_ENV_ID"])?;
    if organization.is_none() && project.is_none() && environment.is_none() {
        return Ok(None);
    }
    let part = |id: Option<String>, part| id.ok_or(ConfigError::IncompleteScope { part });
    let scope = Scope::new(
        part(organization, "organization")?,
        part(project, "project")?,
        part(environment, "environment")?,
    );
    let user = variable(lookup, "PLATOS_USER_ID");
    Ok(Some(user.into_iter().fold(scope, Scope::user)))
}

impl PlatosClient {
    /// A client as the environment describes it.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `PLATOS_API_URL` | the base URL, such as `https://platos.example` |
    /// | `PLATOS_SESSION_TOKEN`, `PLATOS_SESSION_TOKEN_FILE` | session-token mode: the token, or a file that holds it |
    /// | `PLATOS_API_KEY`, `PLATOS_API_KEY_FILE` | direct mode: the key, or a file that holds it |
    /// | `PLATOS_ORGANIZATION_ID`, `PLATOS_PROJECT_ID`, `PLATOS_ENVIRONMENT_ID`, `PLATOS_USER_ID` | the scope; direct mode needs all four. `PLATOS_ORG_ID` and `PLATOS_ENV_ID` are understood too |
    /// | `PLATOS_USER_TOKEN` | a proof of who the user is |
    /// | `PLATOS_ACCESS_KEY`, `PLATOS_ACCESS_KEY_FILE` | the environment's access key, `platos_live_…`, where it wants one besides the credentials, or a file that holds it |
    /// | `PLATOS_CA_FILE` | certificates in PEM that are trusted beside the system's |
    /// | `PLATOS_ALLOW_INSECURE` | `1` permits `http://` to other machines |
    ///
    /// An empty variable counts as unset.
    ///
    /// # Errors
    /// When something is missing, or cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// The same, with the variables from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let base = variable(lookup, "PLATOS_API_URL").ok_or(ConfigError::MissingUrl)?;
        let mut builder = ClientBuilder::new(base);
        builder = builder.allow_insecure(variable(lookup, "PLATOS_ALLOW_INSECURE").as_deref() == Some("1"));
        let scope = scope(lookup)?;
        let has_scope = scope.is_some();
        if let Some(scope) = scope {
            builder = builder.scope(scope);
        }
        if let Some(token) = variable(lookup, "PLATOS_USER_TOKEN") {
            builder = builder.user_token(token);
        }
        if let Some(key) = credential(lookup, "PLATOS_ACCESS_KEY", "PLATOS_ACCESS_KEY_FILE")? {
            builder = builder.access_key(key);
        }
        if let Some(path) = variable(lookup, "PLATOS_CA_FILE") {
            builder = builder.ca_file(path);
        }
        let token = credential(lookup, "PLATOS_SESSION_TOKEN", "PLATOS_SESSION_TOKEN_FILE")?;
        match (token, credential(lookup, "PLATOS_API_KEY", "PLATOS_API_KEY_FILE")?) {
            (Some(token), None) => builder.session_token(token).build(),
            // Nobody is there to give one later.
            (None, Some(_)) if !has_scope => Err(ConfigError::IncompleteScope { part: "organization" }),
            (None, Some(api_key)) => builder.api_key(api_key).build(),
            (None, None) => Err(ConfigError::NoMode),
            (Some(_), Some(_)) => Err(ConfigError::TwoModes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(variables: &[(&str, &str)]) -> Result<PlatosClient, ConfigError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        PlatosClient::from_lookup(&lookup)
    }

    const URL: (&str, &str) = ("PLATOS_API_URL", "https://platos.example");
    const TOKEN: (&str, &str) = ("PLATOS_SESSION_TOKEN", "a.b.c");
    const KEY: (&str, &str) = ("PLATOS_API_KEY", "plt_s3cret");
    const SCOPE: [(&str, &str); 3] =
        [("PLATOS_ORGANIZATION_ID", "o"), ("PLATOS_PROJECT_ID", "p"), ("PLATOS_ENVIRONMENT_ID", "e")];

    #[test]
    fn one_mode_is_needed_and_not_more() {
        client(&[URL, TOKEN]).unwrap();
        client(&[URL, KEY, SCOPE[0], SCOPE[1], SCOPE[2], ("PLATOS_SESSION_TOKEN", " ")]).unwrap();
        assert_eq!(client(&[TOKEN]).unwrap_err(), ConfigError::MissingUrl);
        assert_eq!(client(&[URL]).unwrap_err(), ConfigError::NoMode);
        assert_eq!(client(&[URL, TOKEN, KEY]).unwrap_err(), ConfigError::TwoModes);
        let missing = |part| ConfigError::IncompleteScope { part };
        assert_eq!(client(&[URL, KEY]).unwrap_err(), missing("organization"));
        assert_eq!(client(&[URL, KEY, SCOPE[0]]).unwrap_err(), missing("project"));
        assert_eq!(client(&[URL, TOKEN, SCOPE[0], SCOPE[1]]).unwrap_err(), missing("environment"));
        let short = [("PLATOS_ORG_ID", "o"), ("PLATOS_ENV_ID", "e")];
        client(&[URL, KEY, short[0], SCOPE[1], short[1]]).unwrap();
        let error = client(&[URL, KEY, SCOPE[0], SCOPE[1], SCOPE[2], ("PLATOS_ENV_ID", "f")]).unwrap_err();
        assert!(
            error.to_string().starts_with("PLATOS_ENVIRONMENT_ID and PLATOS_ENV_ID are both set"),
            "{error}"
        );
    }

    #[test]
    fn a_credential_is_read_from_its_file_and_shown_to_nobody() {
        let path = std::env::temp_dir().join(format!("platos-client-token-{}", std::process::id()));
        std::fs::write(&path, "s3cret.b.c\n").unwrap();
        let file = path.to_str().unwrap();
        let shown = format!("{:?}", client(&[URL, ("PLATOS_SESSION_TOKEN_FILE", file)]).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!shown.contains("s3cret") && shown.contains("platos.example"), "{shown}");
        let keyed = client(&[URL, TOKEN, ("PLATOS_ACCESS_KEY", "platos_live_s3cret\n")]).unwrap();
        assert_eq!(keyed.shared.config.headers[0].1.expose(), "platos_live_s3cret");
        assert!(!format!("{keyed:?} {:?}", keyed.shared.config).contains("s3cret"));
        let error = client(&[URL, ("PLATOS_SESSION_TOKEN_FILE", file)]).unwrap_err().to_string();
        assert!(error.starts_with("PLATOS_SESSION_TOKEN_FILE names a file that cannot be read"), "{error}");
    }
}
