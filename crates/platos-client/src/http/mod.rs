//! Requests and answers: headers, retries, a fresh token when one is refused, errors from statuses.
//!
//! This room must not know what is asked, nor what an answer means.

mod answer;
mod call;
mod credentials;
mod headers;
mod send;
pub(crate) mod tls;

pub(crate) use answer::Answer;
pub(crate) use call::{Call, Effect, id, id as check_id};
pub(crate) use credentials::{Credentials, Issued};
pub(crate) use headers::{Mask, retry_after};
use reqwest::redirect;
pub(crate) use send::explain;

use crate::config::Config;
use crate::error::ConfigError;

/// What this library calls itself.
pub(crate) const AGENT: &str = concat!("platos-client-rust/", env!("CARGO_PKG_VERSION"));

/// The client that requests go through unless there is a custom one: redirects are not followed, since the
/// session token would go along, and no proxy of the environment sees it either.
pub(crate) fn default_client(
    config: &Config,
    tls: rustls::ClientConfig,
) -> Result<reqwest::Client, ConfigError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(config.connect_timeout)
        .build()
        .map_err(|error| ConfigError::Tls(explain(&error)))
}
