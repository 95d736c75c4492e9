//! Values that open doors: the API key, job ids and the URLs that hold them. None of them shows in a `Debug`.
//!
//! A job's id is all that is needed to control its machine, since the gateways ask for nothing else (plato-api §14.2).

use std::borrow::Cow;
use std::fmt;

use http::HeaderValue;
use platools_net::SecretText;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::ConfigError;

/// The characters of an id that are shown.
const SHOWN: usize = 4;

/// The API key.
#[derive(Debug, Clone)]
pub(crate) struct ApiKey(SecretText);

impl ApiKey {
    pub(crate) fn new(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ConfigError::NoKey);
        }
        if !text.chars().all(|character| character.is_ascii_graphic()) {
            return Err(ConfigError::UnusableKey);
        }
        Ok(Self(text.into()))
    }

    /// The header's value, marked so that it is not printed.
    pub(crate) fn header(&self) -> Result<HeaderValue, ConfigError> {
        self.0.header("").map_err(|_| ConfigError::UnusableKey)
    }
}

/// The id of a job, which is one virtual machine of a session. It is as good as a password to that machine:
/// `Debug` shows its first four characters, and there is no `Display`.
///
/// ```
/// use plato_sdk::JobId;
///
/// let job = JobId::from("0f8fad5b-d9cb-469f-a165-70867728950e");
/// assert_eq!(format!("{job:?}"), "JobId(0f8f…)");
/// assert!(job.as_str().ends_with("950e"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The whole id, for requests and for nothing that is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a job in texts where its environment is unknown: the start of the id, which tells jobs apart and is
    /// too short to open one.
    pub(crate) fn label(&self) -> String {
        format!("job {}", shorten(&self.0))
    }

    /// Whether it can be part of a host name or a path without changing what they mean.
    pub(crate) fn is_plain(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    }
}

impl From<&str> for JobId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl From<String> for JobId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", shorten(&self.0))
    }
}

/// A URL that opens a machine to whoever has it: a desktop's agent, its liveview, an environment's app.
///
/// `Debug` shows the scheme only.
///
/// ```
/// # fn show(url: &plato_sdk::SecretUrl) {
/// println!("watch it in a browser: {}", url.expose());
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(SecretText);

impl SecretUrl {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self(url.into().into())
    }

    /// The URL itself, for a browser and not for a log.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> Self {
        Self::new(url)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.expose().split_once(':').map_or("", |(scheme, _)| scheme);
        write!(f, "SecretUrl({scheme}:[redacted])")
    }
}

fn shorten(id: &str) -> Cow<'_, str> {
    match id.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &id[..end])),
        None => Cow::Borrowed("…"),
    }
}

/// A text of a server as it may stand in an error or a log: what looks like a job's id is shortened.
///
/// Ids are shaped like UUIDs; those hold still in URLs, host names and sentences.
pub(crate) fn redact(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut shown = String::with_capacity(text.len());
    let mut position = 0;
    while position < bytes.len() {
        if is_uuid(&bytes[position..]) {
            shown.push_str(&text[position..position + SHOWN]);
            shown.push('…');
            position += UUID_LENGTH;
        } else {
            let length = text[position..].chars().next().map_or(1, char::len_utf8);
            shown.push_str(&text[position..position + length]);
            position += length;
        }
    }
    shown
}

const UUID_LENGTH: usize = 36;

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() >= UUID_LENGTH
        && bytes[..UUID_LENGTH].iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn what_opens_a_machine_is_not_shown() {
        let url = SecretUrl::new(format!("https://{JOB}--6080.connect.plato.so/?x"));
        let key = ApiKey::new(" pk-s3cret\n").unwrap();
        assert_eq!(format!("{url:?} {key:?}"), "SecretUrl(https:[redacted]) ApiKey([redacted])");
        assert_eq!(key.header().unwrap(), "pk-s3cret");
        assert_eq!(format!("{:?}", JobId::from("j1")), "JobId(…)");
        assert_eq!(JobId::from(JOB).label(), "job 0f8f…");
    }

    #[test]
    fn ids_in_a_servers_words_are_shortened() {
        let text = format!("naïve: no job {JOB} at https://{JOB}--9000.connect.plato.so, {}", &JOB[..35]);
        let shown = redact(&text);
        assert_eq!(
            shown,
            format!("naïve: no job 0f8f… at https://0f8f…--9000.connect.plato.so, {}", &JOB[..35])
        );
    }

    #[test]
    fn only_plain_ids_become_part_of_an_address() {
        assert!(JobId::from(JOB).is_plain());
        for id in ["", "a/b", "a.b", "a@b", "a b", "é"] {
            assert!(!JobId::from(id).is_plain(), "{id}");
        }
    }
}
