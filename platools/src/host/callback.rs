//! The URL at which the platform calls the host over HTTP while its WebSocket is away (protocol §6).
//!
//! Checked by the platform's own rules before it is declared, since the platform checks it only when it calls.

use platools_net::address::is_public_address;
use platools_net::callback::{CallbackError, callback_url, is_plainly_private};
use platools_net::policy::host_to_dial;
use url::Url;

use super::{ConfigError, HostConfig};

/// A callback that the platform would call, as far as its URL tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Callback(Url);

impl HostConfig {
    /// Returns the callback, if one is configured.
    pub(super) fn callback(&self) -> Result<Option<Callback>, ConfigError> {
        let Some(text) = &self.callback_url else { return Ok(None) };
        match callback_url(text, self.allow_insecure) {
            Ok(url) => Ok(Some(Callback(url))),
            Err(error @ CallbackError::PlainText) => Err(ConfigError::CallbackUrl(format!(
                "{error}; for a development platform that takes http://, set PLATOS_ALLOW_INSECURE=1"
            ))),
            Err(error) => Err(ConfigError::CallbackUrl(error.to_string())),
        }
    }
}

impl Callback {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL without its query, which may hold a token.
    pub(super) fn shown(&self) -> String {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        let query = if self.0.query().is_some() { "?…" } else { "" };
        format!("{shown}{query}")
    }

    /// Why the platform will probably not call it, as far as its URL tells.
    pub(super) fn doubt(&self) -> Option<&'static str> {
        is_plainly_private(&self.0).then_some(
            "the callback URL has an address that is not public, which only a development platform calls: use an address \
             of the internet",
        )
    }

    /// Resolves the host and returns what the platform makes of it.
    ///
    /// # Errors
    /// Why the platform will not call it.
    pub(super) async fn resolve(&self) -> Result<String, String> {
        let shown = self.shown();
        if let Some(doubt) = self.doubt() {
            return Ok(format!("{shown} – {doubt}"));
        }
        let host = host_to_dial(&self.0);
        let port = self.0.port_or_known_default().unwrap_or_default();
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let addresses: Vec<_> = match found {
            Ok(addresses) => addresses.map(|address| address.ip()).collect(),
            Err(error) => return Err(format!("{shown}: the name cannot be resolved ({error})")),
        };
        match addresses.iter().find(|address| !is_public_address(**address)) {
            Some(private) => Ok(format!(
                "{shown} – resolves here to {private}, which is not public: the platform calls it only if the name \
                 resolves to public addresses there"
            )),
            None => Ok(shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, allow_insecure: bool) -> HostConfig {
        HostConfig { callback_url: Some(url.to_owned()), allow_insecure, ..HostConfig::default() }
    }

    #[test]
    fn what_the_platform_would_not_call_is_an_error_with_a_way_out() {
        let problem = |url: &str| config(url, false).callback().unwrap_err().to_string();
        let text = problem("http://127.0.0.1:8080/calls");
        assert!(text.starts_with("PLATOS_CALLBACK_URL: is not encrypted"), "{text}");
        assert!(text.contains("PLATOS_ALLOW_INSECURE=1"), "{text}");
        assert!(problem("https://user:s3cret@a.example").contains("user name"));
        assert!(!problem("https://user:s3cret@a.example").contains("s3cret"));
        assert!(problem("https://a.example:5432/").contains("port 5432"));
        assert_eq!(HostConfig::default().callback(), Ok(None));
    }

    #[test]
    fn an_address_that_is_not_public_is_doubted_and_a_query_is_not_shown() {
        let callback = config("http://127.0.0.1:8080/calls?key=s3cret", true).callback().unwrap().unwrap();
        assert!(callback.doubt().is_some());
        assert_eq!(callback.shown(), "http://127.0.0.1:8080/calls?…");
        let callback = config("https://tools.example/calls", false).callback().unwrap().unwrap();
        assert_eq!((callback.doubt(), callback.shown().as_str()), (None, "https://tools.example/calls"));
    }
}
