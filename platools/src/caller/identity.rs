//! A verified identity.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

/// The role whose holders are admins.
const ADMIN: &str = "admin";

/// Who is really behind a call, as an [`Authenticator`](super::Authenticator) found out. Cheap to clone.
///
/// A tool takes it as a parameter, like `CallContext`. The call is answered `denied: …` when there is no
/// verified user; with `Option<Identity>` only when there is a token and it is refused. Every tool that
/// takes it needs an authenticator, or the host does not start.
///
/// ```
/// use platools::prelude::*;
/// use platools::Identity;
///
/// /// Say who is calling.
/// #[tool(auth = "user", register = false)]
/// async fn who(identity: Identity) -> String {
///     format!("{} with {:?}", identity.subject(), identity.roles())
/// }
///
/// let identity = Identity::new("usr_7").with_role("support");
/// assert!(identity.has_role("support") && !identity.is_admin());
/// assert!(identity.with_role("admin").is_admin());
/// ```
#[derive(Clone, PartialEq)]
pub struct Identity(Arc<Inner>);

#[derive(Clone, PartialEq)]
struct Inner {
    subject: String,
    roles: Vec<String>,
    claims: Map<String, Value>,
    expires_at: Option<SystemTime>,
}

impl Identity {
    /// The identity of `subject`, the user's id in the backend, without roles.
    pub fn new(subject: impl Into<String>) -> Self {
        let (roles, claims) = (Vec::new(), Map::new());
        Self(Arc::new(Inner { subject: subject.into(), roles, claims, expires_at: None }))
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// With one role more. The role `admin` makes an admin.
    pub fn with_role(self, role: impl Into<String>) -> Self {
        self.with_roles([role])
    }

    /// With these roles more.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        for role in roles {
            let role = role.into();
            if !self.has_role(&role) {
                self.inner().roles.push(role);
            }
        }
        self
    }

    /// With something else that is known about the user.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.inner().claims.insert(name.into(), value.into());
        self
    }

    /// With all these claims more.
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.inner().claims.extend(claims);
        self
    }

    /// Remembered no longer than until then.
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.inner().expires_at = Some(expires_at);
        self
    }

    /// The user's id in the backend.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The user's roles.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Whether the user has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|has| has == role)
    }

    /// Whether the user may call tools with `auth = "admin"`: has the role `admin`.
    pub fn is_admin(&self) -> bool {
        self.has_role(ADMIN)
    }

    /// One thing more that is known about the user, such as a claim of the token.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claims.get(name)
    }

    /// Everything else that is known about the user.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }

    /// When the proof of this identity ends, if it does.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at
    }
}

impl fmt::Debug for Identity {
    /// Without the values of the claims, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("subject", &self.0.subject)
            .field("roles", &self.0.roles)
            .field("claims", &self.0.claims.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
