//! Validates the claims of a token and converts them to an identity.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

use crate::caller::{AuthenticationError, Identity};

/// The admin role of an [`Identity`].
const ADMIN: &str = "admin";

/// Requirements on the claims, and their mapping to an identity.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    /// Paths of claims.
    pub(super) subject: String,
    pub(super) roles: String,
    /// The role in the token that makes a user an admin, if it is not `admin`.
    pub(super) admin: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::ZERO,
            subject: "sub".to_owned(),
            roles: "roles".to_owned(),
            admin: None,
        }
    }
}

impl Rules {
    /// Verifies a token with one of the keys and returns its identity.
    pub(super) fn check(
        &self,
        token: &str,
        algorithm: Algorithm,
        keys: &[Arc<DecodingKey>],
    ) -> Result<Identity, AuthenticationError> {
        let validation = self.validation(algorithm);
        let mut rejected = ErrorKind::InvalidSignature;
        for key in keys {
            match decode::<Map<String, Value>>(token, key, &validation) {
                Ok(decoded) => return self.identity(decoded.claims),
                Err(error) => rejected = error.into_kind(),
            }
            if !matches!(rejected, ErrorKind::InvalidSignature) {
                break;
            }
        }
        Err(AuthenticationError::Rejected(self.reason(&rejected)))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn identity(&self, claims: Map<String, Value>) -> Result<Identity, AuthenticationError> {
        let subject = match claim(&claims, &self.subject) {
            Some(Value::String(subject)) if !subject.is_empty() => subject.clone(),
            // A number with a fraction or an exponent was rounded, so it could be the id of several users.
            Some(Value::Number(subject)) if !subject.is_f64() => subject.to_string(),
            _ => {
                let name = &self.subject;
                return Err(AuthenticationError::rejected(format!("it does not name the user (`{name}`)")));
            }
        };
        let roles = claim(&claims, &self.roles).map(texts).unwrap_or_default();
        let roles = roles.into_iter().filter(|role| self.admin.is_none() || role != ADMIN);
        let is_admin = self.admin.as_ref().is_some_and(|admin| {
            claim(&claims, &self.roles).is_some_and(|roles| texts(roles).contains(admin))
        });
        let mut identity = Identity::new(subject).with_roles(roles);
        if is_admin {
            identity = identity.with_role(ADMIN);
        }
        if let Some(seconds) = claims.get("exp").and_then(Value::as_f64) {
            let end = Duration::try_from_secs_f64(seconds).ok().and_then(|end| end.checked_add(self.leeway));
            if let Some(end) = end.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(end)) {
                identity = identity.with_expiry(end);
            }
        }
        Ok(identity.with_claims(claims))
    }

    /// Returns the reason for the model and the log, without content of the token.
    fn reason(&self, kind: &ErrorKind) -> String {
        match kind {
            ErrorKind::ExpiredSignature => "it has expired".to_owned(),
            ErrorKind::ImmatureSignature => "it is not valid yet".to_owned(),
            ErrorKind::InvalidSignature => "its signature is invalid".to_owned(),
            ErrorKind::InvalidIssuer => "it comes from another issuer".to_owned(),
            ErrorKind::InvalidAudience if self.audiences.is_empty() => {
                "it has an audience (`aud`), and no audience is configured".to_owned()
            }
            ErrorKind::InvalidAudience => "it is for another audience".to_owned(),
            ErrorKind::InvalidAlgorithm => "it is signed with an unexpected algorithm".to_owned(),
            ErrorKind::MissingRequiredClaim(claim) => format!("it has no usable `{claim}`"),
            ErrorKind::InvalidClaimFormat(claim) => format!("its `{claim}` cannot be read"),
            _ => "it is not a JSON Web Token".to_owned(),
        }
    }
}

/// Returns the claim of that name, or at that path.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

/// Splits a list of texts, or one space-separated text.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_first_and_then_by_its_path() {
        let claims = serde_json::json!({
            "a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "https://example.com/roles": ["x"],
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(claim(claims, "a.b"), Some(&Value::from(1)));
        assert_eq!(claim(claims, "a.c.d"), Some(&Value::from(3)));
        assert_eq!(claim(claims, "https://example.com/roles").map(texts), Some(vec!["x".to_owned()]));
        assert_eq!(claim(claims, "a.x"), None);
        assert_eq!(claim(claims, "a.b.c"), None);
    }
}
