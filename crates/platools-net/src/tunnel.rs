//! Asks an HTTP proxy for a connection to a host: CONNECT (RFC 9110 §9.3.6).
//!
//! Must not know what the connection is for. Errors quote nothing that the proxy says.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::{Proxy, USER_AGENT, innermost_reason};

/// How long a proxy may take to answer, with its own attempt to connect.
const ANSWER: Duration = Duration::from_secs(10);

/// The most of an answer's head that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most header fields that an answer may have.
const MAX_FIELDS: usize = 64;

/// Why a proxy gave no connection. The text continues the name of the proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// The proxy wants credentials, and its URL has none.
    #[error(
        "wants a user name and a password (407): put them into its URL, as in http://NAME:PASSWORD@proxy.example:3128"
    )]
    CredentialsMissing,
    /// The proxy does not accept the credentials of its URL.
    #[error("refuses the user name and the password of its URL")]
    CredentialsRefused,
    /// The proxy does not connect to this host and port, or cannot.
    #[error(
        "does not connect to that host and port{}: have them allowed there, or name the host in NO_PROXY if it can be \
         reached directly", .0.map_or_else(String::new, |status| format!(" ({status})"))
    )]
    Refused(Option<StatusCode>),
    /// The answer is not HTTP, or is more than an answer.
    #[error("does not answer as an HTTP proxy: check its URL")]
    Garbage,
    /// The head of the answer is too large.
    #[error("answers with more than {} KiB of headers", MAX_HEAD / 1024)]
    TooLarge,
    /// The proxy closed the connection, or it broke.
    #[error("ended the connection instead of answering: {0}")]
    Broken(String),
    /// There was no answer in time.
    #[error("does not answer within {} s", ANSWER.as_secs())]
    Silent,
}

/// Asks for a connection to `host`, an IPv6 address without brackets. `stream` is that connection afterwards.
pub(crate) async fn open<S>(stream: &mut S, host: &str, port: u16, proxy: &Proxy) -> Result<(), TunnelError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asking = async {
        stream.write_all(request(host, port, proxy).as_bytes()).await.map_err(|error| broken(&error))?;
        stream.flush().await.map_err(|error| broken(&error))?;
        let mut head = Vec::with_capacity(512);
        loop {
            // A byte more than may come shows that more has come.
            let more = (&mut *stream).take((MAX_HEAD + 1 - head.len()) as u64).read_buf(&mut head).await;
            if more.map_err(|error| broken(&error))? == 0 {
                return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(answer) = status(&head, proxy)? {
                return answer;
            }
            if head.len() > MAX_HEAD {
                return Err(TunnelError::TooLarge);
            }
        }
    };
    timeout(ANSWER, asking).await.unwrap_or(Err(TunnelError::Silent))
}

fn broken(error: &io::Error) -> TunnelError {
    TunnelError::Broken(innermost_reason(error))
}

fn request(host: &str, port: u16, proxy: &Proxy) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let credentials = proxy
        .authorization()
        .map_or_else(String::new, |value| format!("Proxy-Authorization: {}\r\n", value.expose()));
    format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\n{credentials}\r\n"
    )
}

/// Judges the head of an answer; `None` when it is not whole yet.
fn status(head: &[u8], proxy: &Proxy) -> Result<Option<Result<(), TunnelError>>, TunnelError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let length = match answer.parse(head) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(TunnelError::TooLarge),
        Err(_) => return Err(TunnelError::Garbage),
    };
    let code = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(TunnelError::Garbage)?;
    Ok(Some(match code.as_u16() {
        // Behind the head begins the connection, on which we speak first.
        200..=299 if length == head.len() => Ok(()),
        200..=299 => Err(TunnelError::Garbage),
        // Some answer wrong credentials with 401, tinyproxy among them.
        401 | 407 if proxy.has_credentials() => Err(TunnelError::CredentialsRefused),
        407 => Err(TunnelError::CredentialsMissing),
        _ => Err(TunnelError::Refused(Some(code))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProxyConfig;

    /// Asks a proxy that answers `says` for a tunnel; returns the outcome and the request.
    async fn asked(url: &str, host: &str, says: &[u8]) -> (Result<(), TunnelError>, String) {
        let config = ProxyConfig::new(url).unwrap();
        let target = "https://target.example/".parse().unwrap();
        let proxy = config.for_url(&target).unwrap().unwrap();
        let (mut near, mut far) = tokio::io::duplex(64 * 1024);
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            // It comes in pieces.
            for piece in says.chunks(7) {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            if !says.is_empty() {
                drop(far);
            }
            String::from_utf8(head).unwrap()
        };
        tokio::join!(open(&mut near, host, 443, proxy), answering)
    }

    #[tokio::test]
    async fn the_proxy_is_told_where_to_and_who_asks() {
        let (opened, head) =
            asked("http://b%40d:s3cret@proxy", "target.example", b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n").await;
        opened.unwrap();
        assert!(
            head.starts_with("CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nProxy-Authorization: Basic YkBkOnMzY3JldA==\r\n"), "{head}");
        let (opened, head) =
            asked("http://proxy", "2001:db8::1", b"HTTP/1.0 200 Connection established\r\n\r\n").await;
        opened.unwrap();
        assert!(head.starts_with("CONNECT [2001:db8::1]:443 ") && !head.contains("Authorization"), "{head}");
    }

    #[tokio::test]
    async fn each_bad_answer_has_an_error_that_says_what_to_do() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        let large = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(2 * MAX_HEAD));
        for (says, expected) in [
            ("HTTP/1.1 407 Authenticate s3cret\r\n\r\n", TunnelError::CredentialsMissing),
            ("HTTP/1.1 403 Filtered s3cret\r\n\r\ns3cret", TunnelError::Refused(Some(StatusCode::FORBIDDEN))),
            ("HTTP/1.1 502 Bad\r\n\r\n", TunnelError::Refused(Some(StatusCode::BAD_GATEWAY))),
            ("HTTP/1.1 101 Upgrade\r\n\r\n", TunnelError::Refused(Some(StatusCode::SWITCHING_PROTOCOLS))),
            ("SSH-2.0-OpenSSH_9.2 s3cret\r\n", TunnelError::Garbage),
            ("HTTP/1.1 999999 OK\r\n\r\n", TunnelError::Garbage),
            ("HTTP/1.1 200 OK\r\n\r\nearly", TunnelError::Garbage),
            (&many, TunnelError::TooLarge),
            (&large, TunnelError::TooLarge),
            ("HTTP/1.1 200 OK\r\n", TunnelError::Broken("unexpected end of file".to_owned())),
        ] {
            let (opened, _) = asked("http://proxy", "target.example", says.as_bytes()).await;
            let error = opened.unwrap_err();
            assert_eq!(error, expected);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        for says in [&b"HTTP/1.1 407 No\r\n\r\n"[..], b"HTTP/1.1 401 No\r\n\r\n"] {
            let (opened, _) = asked("http://a:b@proxy", "target.example", says).await;
            assert_eq!(opened, Err(TunnelError::CredentialsRefused));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_says_nothing_has_its_time() {
        let (mut near, _far) = tokio::io::duplex(1_024);
        let config = ProxyConfig::new("http://proxy").unwrap();
        let target = "https://target.example/".parse().unwrap();
        let proxy = config.for_url(&target).unwrap().unwrap();
        assert_eq!(open(&mut near, "target.example", 443, proxy).await, Err(TunnelError::Silent));
    }
}
