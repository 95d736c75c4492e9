//! The browsers that may use the API: a link opens the page once, and the page trades it for a cookie.
//!
//! Everybody who reaches the port gets the page, other users of the machine too, so nothing secret is in it. Who started
//! the platform has the link.
//!
//! A browser sends a cookie to all ports of a host, also to one that another user of the machine listens on. So the
//! cookie alone opens nothing: the page sends a key besides, which it keeps where only pages of its own origin reach.
//! Scripts in turn do not reach the cookie.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName};
use platools::verify::Secret;

use super::header::single;
use crate::error::DevError;
use crate::random;

/// The header with the key of the page.
pub(super) const PAGE_KEY: HeaderName = HeaderName::from_static("x-platools-page");

/// Number of links that can wait to be opened; a further one invalidates the oldest.
const MAX_LINKS: usize = 16;

/// Lifetime of the cookie in a browser, in seconds: a week. It is worthless after the end of the platform's process.
const MAX_AGE: u32 = 7 * 24 * 3_600;

/// The keys of links that open the playground once, and the cookie and page key that keep it open.
pub(super) struct Browsers {
    cookie_name: String,
    /// Whether the platform speaks TLS.
    is_secure: bool,
    cookie: Secret,
    page_key: Secret,
    /// The keys of links that were not opened yet.
    links: Mutex<VecDeque<Secret>>,
}

impl Browsers {
    /// For a platform on this port: browsers keep the cookies of all ports of a host together, by their names.
    pub(super) fn new(port: u16, is_secure: bool) -> Result<Self, DevError> {
        Ok(Self {
            cookie_name: format!("platools-dev-{port}"),
            is_secure,
            cookie: random::secret()?,
            page_key: random::secret()?,
            links: Mutex::default(),
        })
    }

    fn links(&self) -> MutexGuard<'_, VecDeque<Secret>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new key that opens the page once.
    pub(super) fn new_link(&self) -> Result<Secret, DevError> {
        let link = random::secret()?;
        let mut links = self.links();
        links.truncate(MAX_LINKS - 1);
        links.push_front(link.clone());
        Ok(link)
    }

    /// Whether a key opens the page; from now on it does not.
    pub(super) fn take_link(&self, key: &str) -> bool {
        let mut links = self.links();
        let before = links.len();
        links.retain(|link| !link.matches(key));
        links.len() < before
    }

    /// The key that a page sends with its requests.
    pub(super) fn page_key(&self) -> &Secret {
        &self.page_key
    }

    /// The value of `Set-Cookie`. `Strict`: no page from elsewhere has the browser send it.
    pub(super) fn set_cookie(&self) -> String {
        let Self { cookie_name, cookie, .. } = self;
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = cookie.expose();
        format!("{cookie_name}={cookie}; Path=/api/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Whether a request comes from a page that was opened with a link: with the cookie and the key.
    pub(super) fn know(&self, headers: &HeaderMap) -> bool {
        let has_key = single(headers, &PAGE_KEY).is_some_and(|key| self.page_key.matches(key));
        let cookies = single(headers, &COOKIE).into_iter().flat_map(|cookies| cookies.split(';'));
        let mut named = cookies
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie_name);
        has_key && named.any(|(_, value)| self.cookie.matches(value))
    }
}

impl fmt::Debug for Browsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browsers").field("cookie_name", &self.cookie_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_link_opens_once_and_of_many_the_newest_do() {
        let browsers = Browsers::new(3100, false).unwrap();
        let links: Vec<Secret> = (0..=MAX_LINKS).map(|_| browsers.new_link().unwrap()).collect();
        assert!(!browsers.take_link(links[0].expose()), "the oldest had to go");
        assert!(!browsers.take_link(""));
        for link in &links[1..] {
            assert!(browsers.take_link(link.expose()));
            assert!(!browsers.take_link(link.expose()));
        }
        assert!(!format!("{browsers:?}").contains(browsers.cookie.expose()));
    }

    #[test]
    fn a_page_is_known_by_its_cookie_and_its_key_together() {
        let browsers = Browsers::new(3100, true).unwrap();
        let (cookie, key) = (browsers.cookie.expose(), browsers.page_key.expose());
        let set = browsers.set_cookie();
        for part in ["platools-dev-3100=", "; Path=/api/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
            assert!(set.contains(part), "{part}");
        }
        let ours = format!("platools-dev-3100={cookie}");
        for (cookies, sent, is_known) in [
            (ours.clone(), key, true),
            (format!("a=b; {ours};c"), key, true),
            (ours.clone(), "", false),
            (ours.clone(), cookie, false),
            (format!("platools-dev-3101={cookie}"), key, false),
            (format!("platools-dev-3100={key}"), key, false),
            (String::new(), key, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::try_from(&cookies).unwrap());
            headers.insert(PAGE_KEY, HeaderValue::try_from(sent).unwrap());
            assert_eq!(browsers.know(&headers), is_known);
        }
    }
}
