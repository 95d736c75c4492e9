//! Validates the claims of a token and converts them to an identity.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

use crate::caller::{AuthenticationError, Identity};

/// The admin role of an [`Identity`].
const ADMIN: &str = "admin";

/// The subject of a token (RFC 7519 §4.1.2).
const SUBJECT: &str = "sub";
/// The types of tokens that say who somebody is: JSON Web Tokens in general, and access tokens (RFC 9068 §2.1).
const DEFAULT_TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Requirements on the claims, and their mapping to an identity.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    /// Types (`typ`) in lower case without `application/`; none means those of [`DEFAULT_TYPES`], or no type.
    pub(super) types: Vec<String>,
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
            types: Vec::new(),
            leeway: Duration::ZERO,
            subject: SUBJECT.to_owned(),
            roles: "roles".to_owned(),
            admin: None,
        }
    }
}

/// Returns a type as it is compared: `application/` is optional, and case does not count (RFC 7515 §4.1.9).
pub(super) fn normal_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map_or_else(|| name.clone(), str::to_owned)
}

impl Rules {
    /// Checks the type in the token's header, so that a token made for another purpose, such as a logout token, does
    /// not name a user (RFC 8725 §3.11).
    pub(super) fn check_type(&self, name: Option<&str>) -> Result<(), AuthenticationError> {
        let known = match name.map(normal_type) {
            Some(name) if self.types.is_empty() => DEFAULT_TYPES.contains(&name.as_str()),
            Some(name) => self.types.contains(&name),
            None => self.types.is_empty(),
        };
        let refusal = || AuthenticationError::rejected("it is a token of another type (`typ`)");
        known.then_some(()).ok_or_else(refusal)
    }

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
            // A number with a fraction or an exponent was rounded, so it could be the id of several users. `sub` itself
            // is always a text (RFC 7519 §4.1.2).
            Some(Value::Number(subject)) if !subject.is_f64() && self.subject != SUBJECT => {
                subject.to_string()
            }
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
