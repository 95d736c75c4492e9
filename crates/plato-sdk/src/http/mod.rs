//! Requests and answers over HTTP/1.1, with this crate's own TLS.
//!
//! This room knows methods, URLs, statuses and bytes. It must not know what is asked, nor what an answer means; its
//! errors quote no URL, header or body.

mod client;
mod retry;
mod retry_after;
pub(crate) mod tls;

pub(crate) use self::client::{Answer, Ask, HttpClient, HttpOptions, Method};
pub(crate) use self::retry::{Repeat, repeatedly};
pub(crate) use self::retry_after::retry_after;
