//! Reads the envelope of a call over HTTP: one header for each member (protocol §6).

use std::borrow::Cow;

use http::HeaderMap;

use crate::wire::RawEnvelope;

/// Returns the envelope and the trace context in the headers.
///
/// A value that is not UTF-8 counts as absent.
///
/// # Errors
/// The name of a duplicate header, since it is ambiguous.
pub(super) fn read(headers: &HeaderMap) -> Result<(RawEnvelope<'_>, Option<String>), &'static str> {
    let get = |name: &'static str| {
        let mut values = headers.get_all(name).into_iter();
        let value = values.next();
        if values.next().is_some() {
            return Err(name);
        }
        Ok(value.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(Cow::Borrowed))
    };
    let envelope = RawEnvelope {
        organization_id: get("X-Platos-Organization-Id")?,
        project_id: get("X-Platos-Project-Id")?,
        environment_id: get("X-Platos-Environment-Id")?,
        entity_id: get("X-Platos-Entity-Id")?,
        user_id: get("X-Platos-User-Id")?,
        user_token: get("X-Platos-User-Token")?,
        agent_id: get("X-Platos-Agent-Id")?,
        thread_id: get("X-Platos-Thread-Id")?,
        call_id: get("X-Platos-Call-Id")?,
        timestamp: get("X-Platos-Timestamp")?,
        nonce: get("X-Platos-Nonce")?,
        signature: get("X-Platos-Signature")?,
        entity_token: get("X-Platos-Entity-Token")?,
    };
    Ok((envelope, get("traceparent")?.map(Cow::into_owned)))
}
