//! The envelope `__platos` with the caller of a call (protocol §5), and the scope of a connection (§4).
//!
//! Parsing never fails: a member that is missing, of the wrong type or not valid Unicode counts as absent, and the
//! last duplicate wins. Verification and the call context decide what an absent member means.

use std::borrow::Cow;
use std::fmt;

use crate::wire::json::{self, Scan};

/// Declares the borrowed and the owned envelope from one list of members.
macro_rules! envelope {
    ($($(#[$doc:meta])* $field:ident = $wire:literal, $need:ident;)*) => {
        /// The envelope of a call, borrowed from the frame's text.
        ///
        /// Verification reads only `timestamp`, `nonce`, `signature`, `callId` and the scope. The platform's
        /// signature covers timestamp and nonce, not the identities.
        #[derive(Clone, Default)]
        #[non_exhaustive]
        pub struct RawEnvelope<'a> {
            $($(#[$doc])* pub $field: Option<Cow<'a, str>>,)*
        }

        impl<'a> RawEnvelope<'a> {
            /// Parses the text of `__platos`; anything but an object gives an empty envelope.
            pub(crate) fn parse(text: &'a str) -> Self {
                let mut envelope = Self::default();
                match envelope.read(Scan::new(text), 0) {
                    Some(_end) => envelope,
                    None => Self::default(),
                }
            }

            /// Reads the object at `at` into this envelope and returns its end.
            pub(super) fn read(&mut self, scan: Scan<'a>, at: usize) -> Option<usize> {
                scan.object(at, |name, at| {
                    let value = scan.value(at)?;
                    let member = match scan.plain(name) {
                        Some(name) => self.member(name),
                        None => scan.get(name).string().and_then(|name| self.member(&name)),
                    };
                    if let Some(member) = member {
                        *member = match scan.plain(value) {
                            Some(plain) => Some(Cow::Borrowed(plain)),
                            None => scan.get(value).string(),
                        };
                    }
                    Some(value.end())
                })
            }

            /// Returns the member with this name on the wire.
            fn member(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
                match name {
                    $($wire => Some(&mut self.$field),)*
                    _ => None,
                }
            }

            /// Copies the envelope out of the frame.
            pub fn to_envelope(&self) -> Envelope {
                Envelope { $($field: self.$field.as_deref().map(str::to_owned),)* }
            }

            fn members(&self) -> impl Iterator<Item = (&'static str, Need, Option<&str>)> {
                [$(($wire, Need::$need, self.$field.as_deref()),)*].into_iter()
            }
        }

        /// The envelope of a call: the caller, as sent by the platform.
        ///
        /// The platform's signature does **not** cover these identities; verify `user_token` to authenticate the
        /// caller.
        #[derive(Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Envelope {
            $($(#[$doc])* pub $field: Option<String>,)*
        }

        impl Envelope {
            /// Returns the members with their names on the wire, in the platform's order.
            fn members(&self) -> impl Iterator<Item = (&'static str, Need, Option<&str>)> {
                [$(($wire, Need::$need, self.$field.as_deref()),)*].into_iter()
            }
        }
    };
}

/// Whether a typed call context requires a member (protocol §5), and whether logs may show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    RequiredSecret,
    Optional,
    OptionalSecret,
}

envelope! {
    /// The organization.
    organization_id = "organizationId", Required;
    /// The project.
    project_id = "projectId", Required;
    /// The environment.
    environment_id = "environmentId", Required;
    /// The connected entity.
    entity_id = "entityId", Required;
    /// The user for whom the agent acts.
    user_id = "userId", Required;
    /// The entity's own credential of that user, unmodified. A secret.
    user_token = "userToken", OptionalSecret;
    /// The agent.
    agent_id = "agentId", Required;
    /// The thread; may be empty.
    thread_id = "threadId", Required;
    /// The id of the call, equal to the frame's.
    call_id = "callId", Required;
    /// When the call was signed, in RFC 3339.
    timestamp = "timestamp", Required;
    /// The nonce of the signature; absent in the legacy form.
    nonce = "nonce", Optional;
    /// The signature, in hexadecimal.
    signature = "signature", RequiredSecret;
    /// An OIDC access token that the entity issued. A secret.
    entity_token = "entityToken", OptionalSecret;
}

impl Envelope {
    /// Returns the names, as on the wire, of required members that are absent.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.members()
            .filter(|(_, need, value)| {
                value.is_none() && matches!(need, Need::Required | Need::RequiredSecret)
            })
            .map(|(name, _, _)| name)
    }

    /// The envelope as a JSON object without absent members.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    /// Appends the envelope as a JSON object without absent members.
    pub(super) fn write(&self, json: &mut String) {
        json.push('{');
        let mut first = true;
        for (name, _, value) in self.members() {
            let Some(value) = value else { continue };
            if !std::mem::take(&mut first) {
                json.push(',');
            }
            json::push_string(json, name);
            json.push(':');
            json::push_string(json, value);
        }
        json.push('}');
    }
}

fn debug_members<'a>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    members: impl Iterator<Item = (&'static str, Need, Option<&'a str>)>,
) -> fmt::Result {
    let mut shown = f.debug_struct(name);
    for (name, need, value) in members {
        let Some(value) = value else { continue };
        match need {
            Need::Required | Need::Optional => shown.field(name, &value),
            Need::RequiredSecret | Need::OptionalSecret => shown.field(name, &"[redacted]"),
        };
    }
    shown.finish()
}

impl fmt::Debug for RawEnvelope<'_> {
    /// Omits the tokens and the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_members(f, "RawEnvelope", self.members())
    }
}

impl fmt::Debug for Envelope {
    /// Omits the tokens and the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_members(f, "Envelope", self.members())
    }
}

/// The scope of a connection, from `welcome` (protocol §4). Older platforms omit some members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The organization.
    pub organization_id: Option<String>,
    /// The project.
    pub project_id: Option<String>,
    /// The environment.
    pub environment_id: Option<String>,
    /// The connected entity.
    pub entity_id: Option<String>,
}

impl From<Scope> for Envelope {
    /// Creates an envelope with this scope and no caller.
    fn from(scope: Scope) -> Self {
        let Scope { organization_id, project_id, environment_id, entity_id } = scope;
        Self { organization_id, project_id, environment_id, entity_id, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_member_is_absent() {
        let envelope = RawEnvelope::parse(
            r#"{"userId":7,"agentId":"\ud800","threadId":"","callId":"c\u0061","extra":{},"entityId":null,
                "projectId":"first","projectId":"last","organizationId":"there","organizationId":1}"#,
        )
        .to_envelope();
        assert_eq!(envelope.user_id, None);
        assert_eq!(envelope.agent_id, None);
        assert_eq!(envelope.entity_id, None);
        assert_eq!(envelope.thread_id.as_deref(), Some(""));
        assert_eq!(envelope.call_id.as_deref(), Some("ca"));
        assert_eq!(envelope.project_id.as_deref(), Some("last"));
        assert_eq!(envelope.organization_id, None, "the last duplicate wins, and it is not text");
        assert_eq!(
            envelope.missing().collect::<Vec<_>>(),
            ["organizationId", "environmentId", "entityId", "userId", "agentId", "timestamp", "signature"],
        );
    }

    #[test]
    fn anything_but_an_object_is_an_empty_envelope() {
        for text in ["[]", "null", "\"x\"", "{}", "5"] {
            assert_eq!(RawEnvelope::parse(text).to_envelope(), Envelope::default(), "{text}");
        }
    }

    #[test]
    fn an_envelope_round_trips() {
        let envelope = Envelope {
            user_id: Some("a \"quoted\" one".to_owned()),
            user_token: Some("ü".to_owned()),
            signature: Some("00".to_owned()),
            ..Envelope::default()
        };
        let mut json = String::new();
        envelope.write(&mut json);
        assert_eq!(json, r#"{"userId":"a \"quoted\" one","userToken":"ü","signature":"00"}"#);
        assert_eq!(RawEnvelope::parse(&json).to_envelope(), envelope);
    }

    #[test]
    fn debug_shows_no_secret() {
        let raw = RawEnvelope::parse(
            r#"{"userId":"usr_1","userToken":"s3cret","signature":"s3cret","entityToken":"s3cret"}"#,
        );
        let shown = format!("{raw:?} {:?}", raw.to_envelope());
        assert!(shown.contains("usr_1") && !shown.contains("s3cret"), "{shown}");
    }
}
