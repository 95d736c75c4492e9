//! The host of a URL: a name or an address.
//!
//! Must not know schemes or paths. It takes less than a browser does: names are ASCII, and an IPv4 address is four
//! decimal numbers. What it takes, it reads as a browser would. Errors never quote what they are about.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name that DNS knows, with its last dot.
const MAX_NAME_BYTES: usize = 254;

/// Where a URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UrlHost {
    /// In lower case.
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl UrlHost {
    /// Reads what stands between `//` and the path, without credentials. A port that is not named is `None`.
    ///
    /// # Errors
    /// What is wrong, in words that do not quote it.
    pub(super) fn with_port(authority: &str) -> Result<(Self, Option<u16>), &'static str> {
        let end = if authority.starts_with('[') {
            authority.find(']').map(|end| end + 1)
        } else {
            authority.find(':')
        };
        let (host, port) = authority.split_at(end.unwrap_or(authority.len()));
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| "the port is larger than 65535")?)
            }
            _ => return Err("the port is not a number"),
        };
        Ok((Self::parse(host)?, port))
    }

    /// Reads a host, an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong, in words that do not quote it.
    pub(crate) fn parse(host: &str) -> Result<Self, &'static str> {
        if host.is_empty() {
            return Err("it names no host");
        }
        if let Some(address) = host.strip_prefix('[') {
            let address = address.strip_suffix(']').and_then(|address| address.parse().ok());
            return address.map(Self::V6).ok_or("what stands in brackets is not an IPv6 address");
        }
        if !host.is_ascii() {
            return Err("the host's name is not ASCII: write it as its xn--… name");
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !host.bytes().all(is_allowed)
            || host.len() > MAX_NAME_BYTES
            || host.starts_with('.')
            || host.contains("..")
        {
            return Err("the host is neither a name nor an address");
        }
        let name = host.to_ascii_lowercase();
        let whole = name.strip_suffix('.').unwrap_or(&name);
        // Resolvers take numbers of other bases, and fewer than four, for addresses too.
        let last = whole.rsplit('.').next().unwrap_or_default();
        let is_number = last.starts_with(|digit: char| digit.is_ascii_digit())
            && (last.bytes().all(|digit| digit.is_ascii_digit())
                || last
                    .strip_prefix("0x")
                    .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())));
        if is_number {
            let address = whole.parse().map_err(|_| "the host ends in a number, but is not an IPv4 address");
            return address.map(Self::V4);
        }
        Ok(Self::Name(name))
    }

    /// As a resolver wants it: IPv6 without brackets.
    pub(super) fn to_dial(&self) -> String {
        match self {
            Self::V6(address) => address.to_string(),
            host => host.to_string(),
        }
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.to_canonical().is_loopback(),
        }
    }
}

impl fmt::Display for UrlHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports_are_read() {
        for (authority, host, port) in [
            ("Platos.Example", "platos.example", None),
            ("platos.example.:8443", "platos.example.", Some(8443)),
            ("my_host", "my_host", None),
            ("h:", "h", None),
            ("h:0080", "h", Some(80)),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("10.0.0.1:1", "10.0.0.1", Some(1)),
            ("10.0.0.1.", "10.0.0.1", None),
            ("[0:0::1]:3100", "[::1]", Some(3100)),
            ("4chan.example", "4chan.example", None),
        ] {
            let (read, read_port) = UrlHost::with_port(authority).unwrap();
            assert_eq!((read.to_string().as_str(), read_port), (host, port), "{authority}");
        }
    }

    #[test]
    fn what_is_no_host_is_said_so() {
        for (authority, problem) in [
            ("", "names no host"),
            (":80", "names no host"),
            ("bücher.example", "xn--…"),
            ("a b", "neither a name"),
            ("a%41", "neither a name"),
            ("a..b", "neither a name"),
            (".", "neither a name"),
            ("h:+1", "port is not a number"),
            ("h:1:2", "port is not a number"),
            ("::1", "port is not a number"),
            ("[::1]x", "port is not a number"),
            ("h:65536", "larger than 65535"),
            ("[::1", "brackets"),
            ("[1.2.3.4]", "brackets"),
            // A resolver would dial 127.0.0.1, and all but the last would count as another machine.
            ("127.1", "IPv4"),
            ("0x7f.0.0.1", "IPv4"),
            ("127.0.0.0x1", "IPv4"),
            ("2130706433", "IPv4"),
            ("127.0.0.256", "IPv4"),
        ] {
            let error = UrlHost::with_port(authority).unwrap_err();
            assert!(error.contains(problem), "{authority}: {error}");
        }
    }
}
