//! The ways in which a connection ends, from close codes and reasons (protocol §2).

use std::fmt;

use super::error::SECRET_CAUSES;
use crate::wire::close;

/// The way in which a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The network failed. The text is for the log.
    Lost(String),
    /// The platform closed the connection, which has no specific meaning. The text is for the log.
    Closed(String),
    /// The platform is being deployed.
    GoingAway,
    /// Another process connected as the same entity and environment.
    Superseded,
    /// The secret was regenerated.
    SecretRotated,
    /// The platform does not know the secret or the entity.
    SecretRefused,
    /// Something in between refused the WebSocket. The text is for the log.
    UpgradeRefused(String),
    /// The configuration is wrong.
    Misconfigured(Misconfiguration),
    /// The coordinator gave the connection to another process.
    LeadLost,
    /// The host shut down and has sent what it could.
    Drained,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost(why) | Self::Closed(why) | Self::UpgradeRefused(why) => why,
            Self::GoingAway => "the platform is being deployed",
            Self::Superseded => "another process connected as the same entity and environment",
            Self::SecretRotated => "the secret was regenerated",
            Self::SecretRefused => {
                return write!(f, "the platform refused the secret, {SECRET_CAUSES}");
            }
            Self::Misconfigured(Misconfiguration::SecretNotSent) => "the platform received no secret",
            Self::Misconfigured(Misconfiguration::MissingEntity) => "no entity was named",
            Self::Misconfigured(Misconfiguration::UnknownEnvironment) => {
                "the platform does not know the environment"
            }
            Self::LeadLost => "another process holds the connection",
            Self::Drained => "the host shut down",
        })
    }
}

/// A configuration error reported by the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misconfiguration {
    SecretNotSent,
    MissingEntity,
    UnknownEnvironment,
}

/// Returns the meaning of a close frame. `error` is the message of the last `error` frame before `welcome`, for
/// platforms that close without a reason.
pub(super) fn of_close(code: Option<u16>, reason: &str, error: Option<&str>) -> Ending {
    match code {
        Some(close::REFUSED) => {
            // Some platforms state the reason only in the preceding `error` frame.
            let why = if reason.is_empty() { error.unwrap_or_default() } else { reason };
            of_refusal(why).unwrap_or_else(|| Ending::Closed(format!("refused: {}", quote(why))))
        }
        Some(close::ROTATED) => Ending::SecretRotated,
        Some(close::GOING_AWAY) => Ending::GoingAway,
        Some(close::NORMAL) if reason == close::SUPERSEDED => Ending::Superseded,
        Some(code) => Ending::Closed(format!("closed with {code} {}", quote(reason))),
        None => Ending::Closed("closed without a code".to_owned()),
    }
}

fn of_refusal(reason: &str) -> Option<Ending> {
    let reason = reason.trim().to_ascii_lowercase();
    let is = |known: &str| reason.starts_with(known);
    if is(close::MISSING_SECRET) || is("missing authorization") {
        Some(Ending::Misconfigured(Misconfiguration::SecretNotSent))
    } else if is(close::MISSING_ENTITY) {
        Some(Ending::Misconfigured(Misconfiguration::MissingEntity))
    } else if is(close::UNRESOLVABLE_ENVIRONMENT) {
        Some(Ending::Misconfigured(Misconfiguration::UnknownEnvironment))
    } else if is(close::INVALID_SECRET) {
        Some(Ending::SecretRefused)
    } else {
        None
    }
}

fn quote(reason: &str) -> String {
    if reason.is_empty() { "and no reason".to_owned() } else { format!("{reason:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::SecretSource;

    #[test]
    fn every_row_of_the_table_has_its_meaning() {
        let rows = [
            (Some(1008), "missing secret", Ending::Misconfigured(Misconfiguration::SecretNotSent)),
            (Some(1008), "missing entity id", Ending::Misconfigured(Misconfiguration::MissingEntity)),
            (Some(1008), "invalid secret", Ending::SecretRefused),
            (Some(1008), "unresolvable env", Ending::Misconfigured(Misconfiguration::UnknownEnvironment)),
            (Some(4001), "secret rotated; reconnect with new secret", Ending::SecretRotated),
            (Some(1000), "superseded by new connection", Ending::Superseded),
            (Some(1001), "server shutting down", Ending::GoingAway),
            (Some(1000), "", Ending::Closed("closed with 1000 and no reason".to_owned())),
            (Some(1011), "oops", Ending::Closed("closed with 1011 \"oops\"".to_owned())),
            (Some(1008), "something new", Ending::Closed("refused: \"something new\"".to_owned())),
            (None, "", Ending::Closed("closed without a code".to_owned())),
        ];
        for (code, reason, ending) in rows {
            assert_eq!(of_close(code, reason, None), ending);
        }
        let error = Some("Missing Authorization: Bearer <secret>");
        let ending = Ending::Misconfigured(Misconfiguration::SecretNotSent);
        assert_eq!(of_close(Some(1008), "", error), ending, "the reason is in the error frame");
        let other = Ending::Closed("refused: \"rate limited\"".to_owned());
        assert_eq!(of_close(Some(1008), "rate limited", error), other, "a reason of its own counts");
    }

    #[test]
    fn a_refused_secret_names_the_causes_that_look_alike() {
        let ended = Ending::SecretRefused.to_string();
        let secret = SecretSource::file("/run/secrets/platos").to_string();
        let host = crate::host::HostError::InvalidSecret { entity: "orders".to_owned(), secret }.to_string();
        for part in ["the entity's page", "another environment (PLATOS_ENV", "of kind `mcp`"] {
            assert!(ended.contains(part) && host.contains(part), "{ended}\n{host}");
        }
        assert!(host.contains("refused the service secret in file `/run/secrets/platos` for"), "{host}");
    }
}
