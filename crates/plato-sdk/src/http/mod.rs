//! Requests and answers over HTTP/1.1.
//!
//! This room knows methods, URLs, statuses and bytes. It must not know what is asked, nor what an answer means; its
//! errors quote no URL, header or body.

mod client;
mod retry;

pub(crate) use self::client::{Answer, Ask, HttpClient, HttpOptions, Method, client_config};
pub(crate) use self::retry::{Repeat, repeatedly};
