//! CORS: the allowed origins, none by default.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::RouterError;

/// Time for which a browser may cache a preflight response, in seconds.
const MAX_AGE: u32 = 600;

/// The allowed origins and headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
    headers: Vec<HeaderName>,
}

impl Cors {
    pub(super) fn allow_origin(&mut self, origin: &str) -> Result<(), RouterError> {
        let error = || RouterError::Origin { origin: origin.to_owned() };
        let url = Url::parse(origin).map_err(|_| error())?;
        // What browsers send is exactly what this writes.
        if !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != origin {
            return Err(error());
        }
        self.origins.push(HeaderValue::try_from(origin).map_err(|_| error())?);
        Ok(())
    }

    pub(super) fn allow_header(&mut self, name: &str) -> Result<(), RouterError> {
        let error = |_| RouterError::Header { name: name.to_owned() };
        self.headers.push(HeaderName::try_from(name).map_err(error)?);
        Ok(())
    }

    pub(super) fn is_configured(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Returns the origin of a request, if it is allowed.
    pub(super) fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.origins.iter().find(|allowed| *allowed == origin).cloned()
    }

    /// Returns whether a browser's request comes from a page of another origin that is not allowed. Such a page could
    /// not read the response, but the token would be minted.
    pub(super) fn is_foreign(&self, request: &HeaderMap) -> bool {
        let site = request.get("sec-fetch-site").map(HeaderValue::as_bytes);
        matches!(site, Some(b"cross-site" | b"same-site")) && self.allowed(request).is_none()
    }

    /// Adds the CORS headers to a response.
    pub(super) fn mark(&self, answer: &mut HeaderMap, origin: Option<HeaderValue>) {
        if !self.is_configured() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return };
        let mut headers = "authorization, content-type".to_owned();
        for name in &self.headers {
            headers.push_str(", ");
            headers.push_str(name.as_str());
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        if let Ok(headers) = HeaderValue::try_from(headers) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_origin_is_allowed() {
        for origin in ["https://app.example", "http://localhost:3000", "https://app.example:8443"] {
            let mut cors = Cors::default();
            cors.allow_origin(origin).unwrap();
            let mut request = HeaderMap::new();
            request.insert(ORIGIN, origin.parse().unwrap());
            assert_eq!(cors.allowed(&request).unwrap(), origin);
            for other in
                ["null", "https://app.example.evil", "https://evil.app.example", "http://app.example"]
            {
                request.insert(ORIGIN, other.parse().unwrap());
                assert_eq!(cors.allowed(&request), None, "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for origin in [
            "*",
            "null",
            "",
            "app.example",
            "https://app.example/",
            "https://app.example:443",
            "https://*.app.example/x",
            "https://App.example",
            "https://user@app.example",
            "file:///tmp",
            "wss://app.example",
            "http-x://app.example",
        ] {
            assert!(Cors::default().allow_origin(origin).is_err(), "{origin}");
        }
        for name in ["", "x y", "x:"] {
            assert!(Cors::default().allow_header(name).is_err(), "{name}");
        }
    }
}
