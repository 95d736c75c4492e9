//! The claims of a session token and their validation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{ClaimsError, MAX_IDENTITIES, UserIdentity, UserMeta};

/// Minimum lifetime of a token.
pub const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// Maximum lifetime of a token.
pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Default lifetime of a token.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3_600);

/// Names that an extra claim must not have.
pub const RESERVED_CLAIMS: [&str; 15] = [
    "organizationId",
    "projectId",
    "environmentId",
    "entityId",
    "userId",
    "userToken",
    "agentId",
    "userMeta",
    "userIdentities",
    "permissions",
    "iss",
    "iat",
    "exp",
    "authorizationId",
    "isGuest",
];

/// Maximum size of the claims as JSON, in bytes: web servers accept about 8 KB per header, and base64 makes the token
/// a third longer.
const MAX_CLAIMS_BYTES: usize = 5_500;

/// The claims of a session token about one user. The mint adds scope and times.
///
/// Claims are validated when a token is minted.
///
/// ```
/// use std::time::Duration;
///
/// use platools::session_token::SessionClaims;
/// use platools::session_token::UserIdentity;
///
/// let claims = SessionClaims::for_user("usr_7")
///     .lifetime(Duration::from_secs(15 * 60))
///     .agent("agt_support")
///     .name("Ada")
///     .identity(UserIdentity::new("email", "ada@example.com").verified(true))
///     .claim("plan", "pro");
/// assert!(claims.check().is_ok());
/// ```
#[derive(Clone, PartialEq)]
pub struct SessionClaims {
    user_id: String,
    user_token: Option<String>,
    agent_id: Option<String>,
    lifetime: Duration,
    user_meta: UserMeta,
    user_identities: Vec<UserIdentity>,
    permissions: Option<Vec<String>>,
    extra: BTreeMap<String, Value>,
}

impl SessionClaims {
    /// Creates claims about a user, who must be the user authenticated by the backend's own login.
    pub fn for_user(user_id: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            user_token: None,
            agent_id: None,
            lifetime: DEFAULT_LIFETIME,
            user_meta: UserMeta::default(),
            user_identities: Vec::new(),
            permissions: None,
            extra: BTreeMap::new(),
        }
    }

    /// Returns the user id.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Sets the lifetime: 60 s to 7 days, in whole seconds. Default: one hour. The platform's mint may shorten it.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets an opaque credential of the user, which tool calls receive as the user's token. Anyone with the session
    /// token can read it.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into());
        self
    }

    /// Restricts the token to one agent.
    pub fn agent(mut self, agent_id: impl Into<String>) -> Self {
        self.agent_id = Some(agent_id.into());
        self
    }

    /// Sets the user's name, for prompts. Anyone with the token can read it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.user_meta.name = Some(name.into());
        self
    }

    /// Sets the user's e-mail address, for prompts. Anyone with the token can read it.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.user_meta.email = Some(email.into());
        self
    }

    /// Adds an identity on another channel; at most 8.
    pub fn identity(mut self, identity: UserIdentity) -> Self {
        self.user_identities.push(identity);
        self
    }

    /// Adds a permission.
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.permissions.get_or_insert_default().push(permission.into());
        self
    }

    /// Adds an extra claim, or replaces one of the same name. The name must not be one of [`RESERVED_CLAIMS`].
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Validates the claims and sanitizes the identities.
    ///
    /// # Errors
    /// If a claim is invalid; the error names the field.
    pub fn check(mut self) -> Result<CheckedClaims, ClaimsError> {
        let texts = [
            ("userId", Some(&self.user_id)),
            ("userToken", self.user_token.as_ref()),
            ("agentId", self.agent_id.as_ref()),
            ("userMeta.name", self.user_meta.name.as_ref()),
            ("userMeta.email", self.user_meta.email.as_ref()),
        ];
        let permissions = self.permissions.iter().flatten().map(|text| ("permissions", Some(text)));
        for (field, text) in texts.into_iter().chain(permissions) {
            if text.is_some_and(|text| text.trim().is_empty()) {
                return Err(ClaimsError::Blank { field });
            }
        }
        // Compared in whole seconds, as in the token.
        let seconds = self.lifetime.as_secs();
        if !(MIN_LIFETIME.as_secs()..=MAX_LIFETIME.as_secs()).contains(&seconds) {
            return Err(ClaimsError::Lifetime { seconds });
        }
        if self.user_identities.len() > MAX_IDENTITIES {
            return Err(ClaimsError::TooManyIdentities { found: self.user_identities.len() });
        }
        for name in self.extra.keys() {
            if name.is_empty() {
                return Err(ClaimsError::Unnamed);
            }
            if let Some(name) = RESERVED_CLAIMS.into_iter().find(|reserved| reserved == name) {
                return Err(ClaimsError::Reserved { name });
            }
        }
        let identities = std::mem::take(&mut self.user_identities).into_iter().enumerate();
        self.user_identities = identities
            .map(|(index, identity)| identity.sanitized(index))
            .collect::<Result<_, ClaimsError>>()?;
        Ok(CheckedClaims(self))
    }
}

impl fmt::Debug for SessionClaims {
    /// Omits secret and personal values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("user_id", &self.user_id)
            .field("user_token", &self.user_token.as_ref().map(|_| "[redacted]"))
            .field("agent_id", &self.agent_id)
            .field("lifetime", &self.lifetime)
            .field("user_meta", &self.user_meta)
            .field("user_identities", &self.user_identities)
            .field("permissions", &self.permissions)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

/// Validated claims, as a [`Mint`](super::Mint) receives them. Created by [`SessionClaims::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedClaims(SessionClaims);

impl CheckedClaims {
    /// Returns the user id.
    pub fn user_id(&self) -> &str {
        &self.0.user_id
    }

    /// Returns the opaque credential of the user.
    pub fn user_token(&self) -> Option<&str> {
        self.0.user_token.as_deref()
    }

    /// Returns the agent that the token is restricted to.
    pub fn agent_id(&self) -> Option<&str> {
        self.0.agent_id.as_deref()
    }

    /// Returns the requested lifetime, in seconds.
    pub fn lifetime_seconds(&self) -> u64 {
        self.0.lifetime.as_secs()
    }

    /// Returns the user's name and e-mail address, if set.
    pub fn user_meta(&self) -> Option<&UserMeta> {
        Some(&self.0.user_meta).filter(|meta| !meta.is_empty())
    }

    /// Returns the user's identities on other channels, sanitized.
    pub fn user_identities(&self) -> &[UserIdentity] {
        &self.0.user_identities
    }

    /// Returns the permissions, if they are limited.
    pub fn permissions(&self) -> Option<&[String]> {
        self.0.permissions.as_deref()
    }

    /// Returns the extra claims, by name.
    pub fn extra(&self) -> &BTreeMap<String, Value> {
        &self.0.extra
    }

    /// Checks that claims of `bytes` as JSON fit into a token.
    pub(super) fn fit(&self, bytes: usize) -> Result<(), ClaimsError> {
        if bytes <= MAX_CLAIMS_BYTES {
            return Ok(());
        }
        let claims = &self.0;
        let size = |value: Option<&str>| value.map_or(0, str::len);
        let json = |value: serde_json::Result<String>| value.map_or(0, |json| json.len());
        let named = [
            ("userId", claims.user_id.len()),
            ("userToken", size(self.user_token())),
            ("agentId", size(self.agent_id())),
            ("userMeta", json(serde_json::to_string(&claims.user_meta))),
            ("userIdentities", json(serde_json::to_string(&claims.user_identities))),
            ("permissions", json(serde_json::to_string(&claims.permissions))),
        ];
        let extra = claims.extra.iter().map(|(name, value)| (&**name, name.len() + value.to_string().len()));
        let largest = named.into_iter().chain(extra).max_by_key(|(_, bytes)| *bytes);
        // The name itself may be too long.
        let largest = largest.map(|(name, _)| name.chars().take(40).collect()).unwrap_or_default();
        Err(ClaimsError::TooLarge { bytes, limit: MAX_CLAIMS_BYTES, largest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> SessionClaims {
        SessionClaims::for_user("usr_7")
    }

    #[test]
    fn the_lifetime_has_bounds() {
        for (seconds, allowed) in [(0, false), (59, false), (60, true), (604_800, true), (604_801, false)] {
            let checked = claims().lifetime(Duration::from_secs(seconds)).check();
            assert_eq!(checked.is_ok(), allowed, "{seconds}");
            if let Err(error) = checked {
                assert_eq!(error.field(), "lifetime");
            }
        }
        assert!(claims().lifetime(Duration::MAX).check().is_err());
        assert!(claims().lifetime(Duration::from_millis(59_999)).check().is_err());
        assert_eq!(claims().check().unwrap().lifetime_seconds(), 3_600);
    }

    #[test]
    fn a_blank_text_is_rejected_and_named() {
        for (claims, field) in [
            (SessionClaims::for_user(""), "userId"),
            (SessionClaims::for_user(" \n"), "userId"),
            (claims().user_token(""), "userToken"),
            (claims().agent(" "), "agentId"),
            (claims().name(""), "userMeta.name"),
            (claims().email("\t"), "userMeta.email"),
            (claims().permission("read").permission(""), "permissions"),
        ] {
            let error = claims.check().unwrap_err();
            assert_eq!((error.field(), &error), (field.into(), &ClaimsError::Blank { field }));
        }
    }

    #[test]
    fn only_reserved_names_are_rejected() {
        for name in RESERVED_CLAIMS {
            let error = claims().claim(name, "usr_8").check().unwrap_err();
            assert_eq!(error, ClaimsError::Reserved { name });
            assert!(error.to_string().contains(name), "{error}");
        }
        assert_eq!(claims().claim("", 1).check().unwrap_err(), ClaimsError::Unnamed);
        let checked = claims().claim("plan", "free").claim("plan", "pro").claim("UserId", 1).check().unwrap();
        assert_eq!(checked.extra()["plan"], "pro");
    }

    #[test]
    fn there_are_at_most_eight_identities_and_each_follows_the_rules() {
        let many = |count: usize| {
            (0..count).fold(claims(), |claims, n| claims.identity(UserIdentity::new("Sms", n.to_string())))
        };
        assert_eq!(many(8).check().unwrap().user_identities()[7].channel, "sms");
        assert_eq!(many(9).check().unwrap_err(), ClaimsError::TooManyIdentities { found: 9 });
        let error = many(1).identity(UserIdentity::new("email", "")).check().unwrap_err();
        assert_eq!(error.field(), "userIdentities[1].handle");
    }

    #[test]
    fn debug_shows_nothing_secret_or_personal() {
        let claims = claims().user_token("s3cret").name("s3cret").email("s3cret").claim("key", "s3cret");
        let claims = claims.identity(UserIdentity::new("email", "s3cret"));
        let shown = format!("{claims:?} {:?}", claims.clone().check().unwrap());
        assert!(!shown.contains("s3cret") && shown.contains("usr_7"), "{shown}");
    }
}
