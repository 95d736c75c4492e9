//! URLs of the file: what is fixed in them, and what the arguments may fill in.

use std::net::SocketAddr;

use url::Url;

use crate::config::Egress;
use crate::http::egress;
use crate::template::Template;

/// A URL with placeholders in its path and its query.
#[derive(Debug)]
pub(super) struct UrlTemplate {
    pub(super) path: Template,
    pub(super) query: Vec<(String, Template)>,
}

/// Whether a listener cannot have an address because another one listens on all addresses or on the same; port 0 is always
/// another one.
pub(super) fn is_taken_by(other: SocketAddr, address: SocketAddr) -> bool {
    let overlap = other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
    address.port() != 0 && other.port() == address.port() && overlap
}

/// A URL without placeholders, of a server that may be asked.
///
/// # Errors
/// What is wrong with it, without the URL: it may hold a secret.
pub(super) fn server(text: &str, rules: &Egress) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("this is not a URL ({error}): write one such as \"http://127.0.0.1:8080\"")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// are asked".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the URL holds a user name or a password: give them with `headers` or `bearer`".to_owned()
        );
    }
    if url.fragment().is_some() {
        return Err("a `#` and what follows it never reaches a server: leave it out, or write %23".to_owned());
    }
    egress::check_url(rules, &url).map_err(|refused| refused.to_string())?;
    Ok(url)
}

/// Splits a URL with placeholders into its server, and what the arguments fill.
///
/// # Errors
/// Returns the problem with the text, for the line of the file that holds it.
pub(super) fn split(text: &str, rules: &Egress) -> Result<(Url, UrlTemplate), String> {
    let behind_scheme = text.find("://").map(|at| at + 3).ok_or_else(|| {
        "this is not a whole URL: write one such as \"http://127.0.0.1:8080/orders/{id}\", or name a `backend`".to_owned()
    })?;
    let end = text[behind_scheme..].find(['/', '?', '#']).map_or(text.len(), |at| behind_scheme + at);
    if text[..end].contains(['{', '}']) {
        return Err(
            "a placeholder may not choose the scheme, the host or the port: write them out".to_owned()
        );
    }
    let base = server(&text[..end], rules)?;
    let rest = rest(&text[end..])?;
    Ok((base, rest))
}

/// Reads what stands behind a server: a path and a query.
///
/// # Errors
/// Returns the problem with the text, for the line of the file that holds it.
pub(super) fn rest(text: &str) -> Result<UrlTemplate, String> {
    if text.contains('#') {
        return Err("a `#` and what follows it never reaches a server: leave it out, or write %23".to_owned());
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path_template = Template::parse(path)?;
    check_path(&path_template, path)?;
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.contains(['{', '}']) {
            return Err("a placeholder may not choose the name of a query parameter".to_owned());
        }
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        Ok((decode(name), Template::parse(&decode(value))?))
    });
    Ok(UrlTemplate { path: path_template, query: query.collect::<Result<_, _>>()? })
}

/// Whether the fixed pieces of a path arrive as they are written.
fn check_path(template: &Template, text: &str) -> Result<(), String> {
    let sample = template.sample("x");
    let mut url = Url::parse("http://localhost").map_err(|error| error.to_string())?;
    url.set_path(&sample);
    if sample.is_empty() || url.path() == sample {
        return Ok(());
    }
    if sample.split('/').any(|step| matches!(step, "." | "..")) {
        return Err("`.` and `..` are no steps of a path here: write where it leads".to_owned());
    }
    let is_bad =
        |next: char| !next.is_ascii_graphic() || matches!(next, '"' | '<' | '>' | '^' | '`' | '{' | '}');
    match text.chars().find(|next| is_bad(*next) && !matches!(next, '{' | '}')) {
        Some(bad) => Err(format!("{bad:?} cannot stand in a path: write it percent-encoded")),
        None => Err(format!("this path would arrive as `{}`: write it like that", url.path())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_cannot_have_one_address() {
        for (one, other, is_taken) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(is_taken_by(one.parse().unwrap(), other.parse().unwrap()), is_taken, "{one} {other}");
        }
    }

    #[test]
    fn servers_are_fixed_and_the_rest_is_filled() {
        let (base, rest) = split("http://127.0.0.1:8080/a/{id}?x={y}&z=a%20b", &Egress::default()).unwrap();
        assert_eq!(base.as_str(), "http://127.0.0.1:8080/");
        assert_eq!(rest.path.sample("x"), "/a/x");
        let query: Vec<_> =
            rest.query.iter().map(|(name, value)| (name.as_str(), value.sample("-"))).collect();
        assert_eq!(query, [("x", "-".to_owned()), ("z", "a b".to_owned())]);
        for (text, part) in [
            ("orders/{id}", "not a whole URL"),
            ("http://{host}/x", "may not choose"),
            ("http://h:{port}/x", "may not choose"),
            ("{scheme}://h/x", "may not choose"),
            ("ftp://h/x", "only http://"),
            ("http://user:s3cret@h/x", "user name or a password"),
            ("http://h/x#y", "`#`"),
            ("http://h/a/../b", "`.` and `..`"),
            ("http://h/a b", "' ' cannot stand in a path"),
            ("http://h/é", "'é' cannot stand in a path"),
            ("http://h/{a", "not closed"),
            ("http://h/?{a}=b", "name of a query parameter"),
            ("http:///x", "not a URL"),
            ("http://169.254.169.254/latest", "link-local or metadata"),
            ("http://0xa9fea9fe/latest", "link-local or metadata"),
        ] {
            let error = split(text, &Egress::default()).unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
