//! A verified identity.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

/// The admin role.
const ADMIN: &str = "admin";

/// The verified identity of a caller, returned by an [`Authenticator`](super::Authenticator). Cheap to clone.
///
/// A tool takes it as a parameter. Without a verified user the call is answered with `denied: …`; with
/// `Option<Identity>`, only if the call carries an invalid token. A host with a tool that takes an `Identity` does
/// not start without an authenticator.
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
    /// Creates an identity without roles; `subject` is the user's id in the backend.
    pub fn new(subject: impl Into<String>) -> Self {
        let (roles, claims) = (Vec::new(), Map::new());
        Self(Arc::new(Inner { subject: subject.into(), roles, claims, expires_at: None }))
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Adds a role. The role `admin` makes the user an admin.
    pub fn with_role(self, role: impl Into<String>) -> Self {
        self.with_roles([role])
    }

    /// Adds roles.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        for role in roles {
            let role = role.into();
            if !self.has_role(&role) {
                self.inner().roles.push(role);
            }
        }
        self
    }

    /// Adds a claim: further information about the user.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.inner().claims.insert(name.into(), value.into());
        self
    }

    /// Adds claims.
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.inner().claims.extend(claims);
        self
    }

    /// Sets the time until which this identity may be cached.
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.inner().expires_at = Some(expires_at);
        self
    }

    /// Returns the user's id in the backend.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns the user's roles.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Returns whether the user has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|has| has == role)
    }

    /// Returns whether the user has the role `admin`, which tools with `auth = "admin"` require.
    pub fn is_admin(&self) -> bool {
        self.has_role(ADMIN)
    }

    /// Returns a claim, such as one of the token.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claims.get(name)
    }

    /// Returns all claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }

    /// Returns when this identity expires, if it does.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at
    }
}

impl fmt::Debug for Identity {
    /// Omits the values of the claims, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("subject", &self.0.subject)
            .field("roles", &self.0.roles)
            .field("claims", &self.0.claims.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
