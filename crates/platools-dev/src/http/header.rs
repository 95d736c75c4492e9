//! Headers of requests.

use axum::http::{HeaderMap, HeaderName};

/// Returns the value of a header that occurs once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
