//! Access to the endpoint: checks the host, the origin and the token.
//!
//! Without these checks, any page in a browser on this machine could use a server on loopback.

use std::collections::BTreeSet;
use std::fmt;

use ::http::header::{self, HeaderValue};
use ::http::uri::Authority;
use ::http::{HeaderMap, Method, StatusCode, Uri};
use axum::extract::Request;
use axum::response::Response;
use platools_net::policy::is_loopback_host;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::refusal::plain;

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

pub(super) struct Guard {
    /// A digest, so that the time of a comparison does not depend on the length of the token.
    token: [u8; 32],
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl Guard {
    pub(super) fn new(token: &str, hosts: BTreeSet<String>, origins: BTreeSet<String>) -> Self {
        let lower =
            |texts: BTreeSet<String>| texts.into_iter().map(|text| text.to_ascii_lowercase()).collect();
        Self { token: digest(token.as_bytes()), hosts: lower(hosts), origins: lower(origins) }
    }

    /// Checks a request; returns the origin of the page that sent it, if any.
    ///
    /// # Errors
    /// The response to a request that is refused.
    pub(super) fn check(&self, request: &Request) -> Result<Option<HeaderValue>, Box<Response>> {
        let headers = request.headers();
        if !self.is_host_allowed(request) {
            return Err(Box::new(plain(StatusCode::FORBIDDEN, "this host is not served here")));
        }
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| !self.is_origin_allowed(origin)) {
            let text = "pages of this origin may not use this server";
            return Err(Box::new(plain(StatusCode::FORBIDDEN, text)));
        }
        // Preflight requests have no token.
        if request.method() != Method::OPTIONS && !self.has_token(headers) {
            let mut response = plain(
                StatusCode::UNAUTHORIZED,
                "send `Authorization: Bearer TOKEN` with this server's token",
            );
            let challenge = HeaderValue::from_static("Bearer realm=\"mcp\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            if let Some(origin) = origin {
                share(&mut response, origin.clone());
            }
            return Err(Box::new(response));
        }
        Ok(origin.cloned())
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.as_bytes().split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(digest(token.trim_ascii()).ct_eq(&self.token))
    }

    fn is_host_allowed(&self, request: &Request) -> bool {
        let mut named = request.headers().get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, _) => request.uri().authority().map(Authority::as_str),
            (Some(_), Some(_)) => None,
        };
        let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let (whole, host) = (authority.as_str().to_ascii_lowercase(), authority.host().to_ascii_lowercase());
        is_loopback_host(&host) || self.hosts.contains(&whole) || self.hosts.contains(&host)
    }

    fn is_origin_allowed(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let Ok(uri) = origin.parse::<Uri>() else { return false };
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(is_loopback_host)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Lets pages of `origin` read the response (CORS).
pub(super) fn share(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let asked = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, \
             Mcp-Method, Mcp-Name, X-Platos-Entity-Token, X-Platos-User-Token",
        ),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Mcp-Session-Id, WWW-Authenticate"),
        (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE),
    ];
    for (name, value) in asked {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
