//! Creates mints from environment variables, for servers and for the command line.

use std::io::Write;

use platools_net::variables::same;

use super::{MintConfigError, MintError, SessionClaims, SessionScope, SessionTokens, remote};
use crate::host::ConfigError;
use crate::{HostConfig, SecretSource};

/// The supported variables; [`HostConfig`] reads the ones that a host uses too.
const VARIABLES: [&str; 17] = [
    "PLATOS_URL",
    "PLATOS_ENTITY",
    "PLATOS_SECRET",
    "PLATOS_SECRET_FILE",
    "PLATOS_SERVICE_SECRET",
    "PLATOS_ENTITY_SERVICE_SECRET",
    "PLATOS_ORG_ID",
    "PLATOS_ENV_ID",
    "PLATOS_CA_FILE",
    "PLATOS_ALLOW_INSECURE",
    "PLATOS_ORGANIZATION_ID",
    "PLATOS_PROJECT_ID",
    "PLATOS_ENVIRONMENT_ID",
    "PLATOS_MINT",
    "PLATOS_MINT_URL",
    "PLATOS_MINT_BEARER",
    "PLATOS_MINT_BEARER_FILE",
];

impl SessionTokens {
    /// Creates a mint from the environment variables of this process.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `PLATOS_ORGANIZATION_ID`, `PLATOS_PROJECT_ID`, `PLATOS_ENVIRONMENT_ID`, `PLATOS_ENTITY` (or `entity` in the query of `PLATOS_URL`) | the scope |
    /// | `PLATOS_MINT` | `local`: this process signs tokens; `remote`: the platform signs them. Default: `remote` if a bearer key of the remote mint is set, otherwise `local` |
    /// | `PLATOS_SECRET`, or `PLATOS_SECRET_FILE` | local mint: the service secret |
    /// | `PLATOS_MINT_URL` | remote mint: its URL, such as `https://platos.example` |
    /// | `PLATOS_MINT_BEARER`, or `PLATOS_MINT_BEARER_FILE` | remote mint: its bearer key, `plt_ent_…` |
    /// | `PLATOS_CA_FILE`, `PLATOS_ALLOW_INSECURE` | remote mint: as for a host |
    ///
    /// The names in Platos' own guides are understood as well: `PLATOS_ORG_ID`, `PLATOS_ENV_ID`,
    /// `PLATOS_SERVICE_SECRET`, `PLATOS_ENTITY_SERVICE_SECRET`. Two variables of one meaning must not differ.
    ///
    /// An empty variable counts as unset. The remote mint needs the feature `remote-mint`.
    ///
    /// # Errors
    /// If a variable is missing or invalid; the error names it.
    pub fn from_env() -> Result<Self, MintConfigError> {
        for variable in VARIABLES {
            if std::env::var_os(variable).is_some_and(|value| value.to_str().is_none()) {
                let value = "(not shown)".to_owned();
                return Err(MintConfigError::Variable {
                    variable,
                    value,
                    expected: "it must be valid UTF-8",
                });
            }
        }
        Self::from_lookup(|variable| std::env::var(variable).ok())
    }

    /// Creates a mint from variables that `lookup` returns; see [`from_env`](Self::from_env).
    ///
    /// ```
    /// use platools::session_token::SessionTokens;
    ///
    /// let error = SessionTokens::from_lookup(|variable| match variable {
    ///     "PLATOS_SECRET" => Some("b7f1c2d3e4f5a6978899aabbccddeeff".to_owned()),
    ///     "PLATOS_ORGANIZATION_ID" => Some("org_1".to_owned()),
    ///     _ => None,
    /// });
    /// assert!(error.unwrap_err().to_string().contains("PLATOS_PROJECT_ID"));
    /// ```
    ///
    /// # Errors
    /// See [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MintConfigError> {
        let get = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let required = |what, variable| get(variable).ok_or(MintConfigError::Missing { what, variable });
        let shared = HostConfig::from_lookup(&lookup)?;
        let either = |what, names: [&'static str; 2]| {
            let found = same(&lookup, &names).map_err(ConfigError::from)?;
            found.ok_or(MintConfigError::Missing { what, variable: names[0] })
        };
        let scope = SessionScope {
            organization_id: either("the organization's id", ["PLATOS_ORGANIZATION_ID", "PLATOS_ORG_ID"])?,
            project_id: required("the project's id", "PLATOS_PROJECT_ID")?,
            environment_id: either("the environment's id", ["PLATOS_ENVIRONMENT_ID", "PLATOS_ENV_ID"])?,
            entity_id: match shared.named_entity() {
                Some(entity) => entity,
                None => required("the entity's id", "PLATOS_ENTITY")?,
            },
        };
        let bearer = match (get("PLATOS_MINT_BEARER"), get("PLATOS_MINT_BEARER_FILE")) {
            (Some(bearer), _) => Some(SecretSource::text(bearer)),
            (None, file) => file.map(SecretSource::file),
        };
        let chosen = get("PLATOS_MINT");
        // Whoever has a key of the remote mint means to use it, and every platform with such a mint takes its tokens.
        let default = if bearer.is_some() { "remote" } else { "local" };
        match chosen.as_deref().unwrap_or(default) {
            "local" => {
                let what = "the service secret";
                let variable = "PLATOS_SECRET or PLATOS_SECRET_FILE";
                let secret = shared.secret.ok_or(MintConfigError::Missing { what, variable })?;
                Self::local(secret, scope)
            }
            "remote" => {
                let url = required("the URL of the platform's mint", "PLATOS_MINT_URL")?;
                let variable = "PLATOS_MINT_BEARER or PLATOS_MINT_BEARER_FILE";
                let what = "the bearer of the platform's mint";
                let bearer = bearer.ok_or(MintConfigError::Missing { what, variable })?;
                remote::tokens(&url, bearer, scope, &shared)
            }
            other => Err(MintConfigError::Variable {
                variable: "PLATOS_MINT",
                value: other.chars().take(20).collect(),
                expected: "write `local` or `remote`",
            }),
        }
    }
}

/// Implements a command `mint`: mints a token for a user with the variables of [`SessionTokens::from_env`], read
/// through `lookup`, and writes only the token and a line break to `out`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut out = Vec::new();
/// let error = platools::session_token::print_token("usr_7", |_| None, &mut out).await.unwrap_err();
/// assert!(error.to_string().contains("PLATOS_ORGANIZATION_ID") && out.is_empty());
/// # }
/// ```
///
/// # Errors
/// If a variable is missing or invalid, minting fails, or writing to `out` fails.
pub async fn print_token(
    user_id: &str,
    lookup: impl Fn(&str) -> Option<String>,
    out: &mut impl Write,
) -> crate::Result<()> {
    let tokens = SessionTokens::from_lookup(lookup)?;
    let token = tokens.mint(SessionClaims::for_user(user_id)).await?;
    writeln!(out, "{}", token.as_str())
        .and_then(|()| out.flush())
        .map_err(|error| MintError::other(format!("the token could not be written: {error}")))?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::session_token::TokenVerifier;
    use crate::verify::Secret;

    pub(crate) const ALL: [(&str, &str); 8] = [
        ("PLATOS_ORGANIZATION_ID", "org_1"),
        ("PLATOS_PROJECT_ID", "proj_1"),
        ("PLATOS_ENVIRONMENT_ID", "env_1"),
        ("PLATOS_ENTITY", "orders"),
        ("PLATOS_SECRET", "s3cret-s3cret-s3cret"),
        ("PLATOS_MINT", "local"),
        ("PLATOS_MINT_URL", "http://127.0.0.1:9"),
        ("PLATOS_MINT_BEARER", "plt_ent_s3cret-s3cret"),
    ];

    /// Creates a mint from all variables, with one of them changed.
    pub(crate) fn tokens(variable: &str, value: &str) -> Result<SessionTokens, MintConfigError> {
        SessionTokens::from_lookup(|wanted| {
            if wanted == variable {
                return Some(value.to_owned());
            }
            ALL.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn missing_or_invalid_variables_are_named_without_secrets() {
        for (variable, value) in [
            ("PLATOS_ORGANIZATION_ID", ""),
            ("PLATOS_PROJECT_ID", ""),
            ("PLATOS_ENVIRONMENT_ID", ""),
            ("PLATOS_ENTITY", ""),
            ("PLATOS_SECRET", ""),
            ("PLATOS_MINT", "platform"),
            ("PLATOS_ALLOW_INSECURE", "maybe"),
        ] {
            let error = tokens(variable, value).unwrap_err().to_string();
            assert!(error.contains(variable), "{variable}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let error = tokens("PLATOS_SECRET", "s3cret").unwrap_err().to_string();
        assert!(error.contains("at least 16") && !error.contains("s3cret"), "{error}");
        assert!(tokens("PLATOS_ENTITY", " ").unwrap_err().to_string().contains("`entityId`"));
    }

    #[test]
    fn the_names_of_the_platforms_guides_name_the_scope_too() {
        let with = |variables: &[(&str, &str)]| {
            SessionTokens::from_lookup(|wanted| {
                variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            })
        };
        let all = [
            ("PLATOS_ORG_ID", "org_1"),
            ("PLATOS_PROJECT_ID", "proj_1"),
            ("PLATOS_ENV_ID", "env_1"),
            ("PLATOS_ENTITY", "orders"),
            ("PLATOS_ENTITY_SERVICE_SECRET", "s3cret-s3cret-s3cret"),
        ];
        with(&all).unwrap();
        for other in ["PLATOS_ORGANIZATION_ID", "PLATOS_ENVIRONMENT_ID"] {
            let mut variables = all.to_vec();
            variables.push((other, "another"));
            let error = with(&variables).unwrap_err().to_string();
            assert!(error.contains(other) && error.contains("to different values"), "{error}");
        }
    }

    /// Whether the remote mint is chosen shows in what is missing.
    #[test]
    fn the_remote_mint_is_the_default_where_there_is_a_key_for_it() {
        let missing = |variables: &[(&str, &str)]| {
            let found = SessionTokens::from_lookup(|wanted| {
                let found = variables.iter().chain(&ALL[..4]).find(|(name, _)| *name == wanted);
                found.map(|(_, value)| (*value).to_owned())
            });
            found.unwrap_err().to_string()
        };
        for (variables, part) in [
            (&[][..], "PLATOS_SECRET"),
            (&[("PLATOS_MINT_BEARER", "")], "PLATOS_SECRET"),
            (&[("PLATOS_MINT_BEARER", "plt_ent_1")], "PLATOS_MINT_URL"),
            (&[("PLATOS_MINT_BEARER_FILE", "/run/secrets/mint")], "PLATOS_MINT_URL"),
            (&[("PLATOS_MINT_BEARER", "plt_ent_1"), ("PLATOS_MINT", "local")], "PLATOS_SECRET"),
            (&[("PLATOS_MINT", "remote"), ("PLATOS_MINT_URL", "https://h")], "PLATOS_MINT_BEARER"),
        ] {
            let error = missing(variables);
            assert!(error.contains(part), "{variables:?}: {error}");
        }
    }

    #[tokio::test]
    async fn the_command_prints_the_token_and_nothing_else() {
        let lookup =
            |wanted: &str| ALL.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        let mut out = Vec::new();
        print_token("usr_7", lookup, &mut out).await.unwrap();
        let printed = String::from_utf8(out).unwrap();
        let verifier = TokenVerifier::new(&Secret::new("s3cret-s3cret-s3cret").unwrap());
        assert_eq!(verifier.verify(printed.strip_suffix('\n').unwrap()).unwrap().user_id, "usr_7");

        let mut out = Vec::new();
        let error = print_token(" ", lookup, &mut out).await.unwrap_err();
        assert!(error.to_string().contains("`userId`") && out.is_empty(), "{error}");
    }
}
