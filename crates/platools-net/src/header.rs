//! Headers that say who is asking: each at most once, and readable.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Returns what is wrong with the headers that name a caller: `Authorization` and every `X-Platos-…`. One that comes
/// twice is ambiguous, since a proxy may have checked the other value; one that is not UTF-8 would count as absent.
///
/// ```
/// use http::HeaderMap;
/// use platools_net::header::ambiguous;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-platos-user-id", "usr_1".parse()?);
/// assert_eq!(ambiguous(&headers), None);
/// headers.append("x-platos-user-id", "usr_2".parse()?);
/// assert_eq!(ambiguous(&headers).unwrap(), "the header `x-platos-user-id` came more than once: send it once");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn ambiguous(headers: &HeaderMap) -> Option<String> {
    let named = |name: &&http::HeaderName| **name == AUTHORIZATION || name.as_str().starts_with("x-platos-");
    headers.keys().filter(named).find_map(|name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return Some(format!("the header `{name}` came more than once: send it once"));
        }
        std::str::from_utf8(value.as_bytes()).err().map(|_| format!("the header `{name}` is not UTF-8"))
    })
}
