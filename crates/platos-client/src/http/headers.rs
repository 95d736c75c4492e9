//! The headers that every request and every upgrade carries.

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Issued;
use crate::client::PlatosClient;
use crate::config::Secret;

const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-platos-session-token");
const USER_TOKEN: HeaderName = HeaderName::from_static("x-platos-user-token");
const SCOPE: [HeaderName; 5] = [
    HeaderName::from_static("x-platos-organization-id"),
    HeaderName::from_static("x-platos-project-id"),
    HeaderName::from_static("x-platos-environment-id"),
    HeaderName::from_static("x-platos-user-id"),
    HeaderName::from_static("x-platos-entity-id"),
];

impl PlatosClient {
    /// Who is asking, and on whose behalf.
    pub(crate) fn headers(&self, issued: &Issued) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, HeaderValue::from_static(platools_net::USER_AGENT));
        match issued {
            Issued::Session { token, .. } => headers.insert(SESSION_TOKEN, token.header("")),
            Issued::Direct(api_key) => headers.insert(AUTHORIZATION, api_key.header("Bearer ")),
            Issued::Nobody => None,
        };
        if let Some(scope) = &self.scope {
            let ids = [
                Some(&scope.organization_id),
                Some(&scope.project_id),
                Some(&scope.environment_id),
                scope.user_id.as_ref(),
                scope.entity_id.as_ref(),
            ];
            for (name, id) in SCOPE.into_iter().zip(ids) {
                // Whatever cannot be a header's value was refused with the scope.
                if let Some(value) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
                    headers.insert(name, value);
                }
            }
        }
        if let Some(token) = &self.user_token {
            headers.insert(USER_TOKEN, token.header(""));
        }
        for (name, value) in &self.shared.config.headers {
            headers.append(name, value.header(""));
        }
        headers
    }

    /// What must not come back in an error: the credentials that this client sent.
    pub(crate) fn mask(&self, issued: &Issued) -> Mask {
        let credential = match issued {
            Issued::Session { token, .. } => Some(token),
            Issued::Direct(api_key) => Some(api_key),
            Issued::Nobody => None,
        };
        let others = self.shared.config.headers.iter().map(|(_, value)| value);
        Mask(credential.into_iter().chain(&self.user_token).chain(others).cloned().collect())
    }
}

/// The shortest credential that is looked for: a shorter one would be found in any text.
pub(super) const MASKED_BYTES: usize = 8;

/// Takes credentials out of texts from outside.
#[derive(Debug, Clone)]
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    /// Takes nothing out.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn apply(&self, mut text: String) -> String {
        for secret in self.0.iter().map(Secret::expose) {
            if secret.len() >= MASKED_BYTES && text.contains(secret) {
                text = text.replace(secret, "[redacted]");
            }
        }
        text
    }
}
