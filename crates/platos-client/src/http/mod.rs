//! Requests and answers: headers, retries, a fresh token when one is refused, errors from statuses.
//!
//! This room must not know what is asked, nor what an answer means.

mod answer;
mod call;
mod credentials;
mod headers;
mod send;
mod upload;

pub(crate) use answer::Answer;
pub(crate) use call::{Call, Effect, id, id as check_id};
pub(crate) use credentials::{Credentials, Issued};
pub(crate) use headers::Mask;
pub(crate) use send::{MAX_ANSWER_BYTES, Opened, is_unsent};
pub(crate) use upload::Progress;
