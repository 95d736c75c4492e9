//! Requests to the web servers that a configuration names: the remote mint, and where keys are published.
//!
//! One client with this crate's own TLS, and with the suspicion that a server deserves that might be another
//! one than was meant: redirects are not followed, answers are read up to a limit, nothing takes longer than
//! it may, and no proxy of the environment sees a request. It must not know what is asked, nor what an answer
//! means. Errors never quote a URL's query, a header or a body.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use reqwest::redirect;
use url::Url;

use crate::tls::{self, TlsError};
use crate::wire::UrlHost;

/// How a client behaves.
#[derive(Debug, Clone)]
pub(crate) struct HttpOptions<'a> {
    /// Certificates, in PEM, that are trusted beside the system's own.
    pub(crate) ca_file: Option<&'a Path>,
    /// How long a connection may take, with its TLS handshake.
    pub(crate) connect_timeout: Duration,
    /// How long a request may take, from dialling to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// The most of an answer's body that is read, in bytes.
    pub(crate) max_body: usize,
}

/// Sends requests. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    max_body: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nobody was reached: nothing of the request was sent.
    #[error("no connection could be made: {0}")]
    Connect(String),
    /// It took too long. The server may have seen the request.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The body is longer than it may be.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The connection broke, or what came is not HTTP. The server may have seen the request.
    #[error("the answer could not be read: {0}")]
    Broken(String),
}

/// Why a URL is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpUrlError {
    /// The text is not a URL.
    #[error("is not a URL ({0}): expected something like https://platos.example")]
    Malformed(String),
    /// The URL is of another kind.
    #[error("does not start with https:// (or http:// for this machine)")]
    Scheme,
    /// The URL holds a user name or a password.
    #[error("contains a user name or password: secrets do not belong in URLs, give them by themselves")]
    Credentials,
    /// What is sent and what comes back would cross a network in the clear.
    #[error(
        "is not encrypted (http:// to a host that is not this machine), so anyone on the way could read and \
         change what is sent: use https://, or set PLATOS_ALLOW_INSECURE=1 if the network is trusted"
    )]
    Insecure,
}

/// The URL in a text that may be asked: `https://`, or `http://` where the host is this machine or
/// `allow_insecure` says so. The error does not quote it.
///
/// # Errors
/// When the text is no such URL.
pub(crate) fn http_url(text: &str, allow_insecure: bool) -> Result<Url, HttpUrlError> {
    let url = Url::parse(text.trim()).map_err(|error| HttpUrlError::Malformed(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpUrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpUrlError::Credentials);
    }
    if url.scheme() == "http" && !allow_insecure && !is_loopback(&url) {
        return Err(HttpUrlError::Insecure);
    }
    Ok(url)
}

/// Whether a URL's host is this machine.
fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| UrlHost::parse(host).is_ok_and(|host| host.is_loopback()))
}

impl HttpClient {
    /// A client; nothing is dialled yet.
    ///
    /// # Errors
    /// When the certificates cannot be read, or TLS cannot be set up.
    pub(crate) fn new(options: &HttpOptions<'_>) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(options.ca_file)?)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("platools-rs/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .build()
            .map_err(|error| TlsError::Setup(explain(&error)))?;
        Ok(Self { client, max_body: options.max_body })
    }

    /// Sends a request within `time`, or the client's own limit where that is shorter, and reads the answer,
    /// whatever its status is. A redirect is an answer like another.
    ///
    /// # Errors
    /// When there is no answer, or too much of it.
    pub(crate) async fn send(
        &self,
        request: Request<Vec<u8>>,
        time: Duration,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let answer = async {
            let request = reqwest::Request::try_from(request).map_err(|error| failure(error, time))?;
            let answer = self.client.execute(request).await.map_err(|error| failure(error, time))?;
            self.read(answer, time).await
        };
        tokio::time::timeout(time, answer).await.unwrap_or(Err(HttpError::Timeout(time)))
    }

    async fn read(
        &self,
        mut answer: reqwest::Response,
        time: Duration,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let limit = self.max_body;
        let too_large = HttpError::TooLarge { limit };
        // A server that says how much there is need not send it first.
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failure(error, time))? {
            if chunk.len() > limit - body.len() {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

fn failure(error: reqwest::Error, time: Duration) -> HttpError {
    let error = error.without_url();
    if error.is_connect() {
        HttpError::Connect(explain(&error))
    } else if error.is_timeout() {
        HttpError::Timeout(time)
    } else {
        HttpError::Broken(explain(&error))
    }
}

/// The innermost reason: the outer ones say only that a request failed.
fn explain(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const GUARD: Duration = Duration::from_secs(60);

    fn client(max_body: usize) -> HttpClient {
        let options = HttpOptions { ca_file: None, connect_timeout: GUARD, timeout: GUARD, max_body };
        HttpClient::new(&options).unwrap()
    }

    /// A server that hands each connection to `answer`, after it has read a request's head.
    async fn server<F>(answer: impl Fn(TcpStream, String) -> F + Send + 'static) -> String
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                answer(stream, String::from_utf8(head).unwrap()).await;
            }
        });
        url
    }

    async fn get(client: &HttpClient, url: &str, time: Duration) -> Result<Response<Vec<u8>>, HttpError> {
        client.send(Request::get(url).body(Vec::new()).unwrap(), time).await
    }

    fn says(
        text: &'static str,
    ) -> impl Fn(TcpStream, String) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        move |mut stream, _| {
            Box::pin(async move {
                let _ = stream.write_all(text.as_bytes()).await;
            })
        }
    }

    #[tokio::test]
    async fn an_answer_is_handed_over_whatever_its_status_and_redirects_are_not_followed() {
        let url = server(says(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 2\r\n\r\nhi",
        ))
        .await;
        let answer = get(&client(2), &url, GUARD).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (302, &b"hi"[..]));
        assert_eq!(answer.headers()["location"], "http://127.0.0.1:9/");
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_whether_its_length_is_announced_or_not() {
        let announced = server(says("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")).await;
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
        let chunked = server(says(chunked)).await;
        for url in [&announced, &chunked] {
            let error = get(&client(5), url, GUARD).await.unwrap_err();
            assert_eq!(error, HttpError::TooLarge { limit: 5 });
        }
        assert_eq!(get(&client(6), &chunked, GUARD).await.unwrap().body(), b"abcdef");
    }

    #[tokio::test]
    async fn who_is_not_there_who_says_nothing_and_who_talks_nonsense_are_told_apart() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = get(&client(9), &format!("http://{free}/?key=s3cret"), GUARD).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect(_)), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");

        let silent = server(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let time = Duration::from_millis(50);
        assert_eq!(get(&client(9), &silent, time).await.unwrap_err(), HttpError::Timeout(time));

        for nonsense in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"] {
            let url = server(says(nonsense)).await;
            let error = get(&client(9), &url, GUARD).await.unwrap_err();
            assert!(matches!(error, HttpError::Broken(_)), "{nonsense}: {error:?}");
        }
    }

    #[tokio::test]
    async fn the_request_says_who_asks() {
        let url = server(|mut stream, head| async move {
            let seen = head.to_ascii_lowercase().contains("user-agent: platools-rs/");
            let status = if seen { "200 OK" } else { "400 Bad Request" };
            let _ =
                stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        })
        .await;
        assert_eq!(get(&client(0), &url, GUARD).await.unwrap().status(), 200);
    }

    #[test]
    fn only_urls_that_keep_a_secret_are_asked_unless_it_is_allowed() {
        for text in ["https://platos.example/x", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
        {
            http_url(text, false).unwrap();
        }
        assert_eq!(http_url("http://10.0.0.1", false).unwrap_err(), HttpUrlError::Insecure);
        http_url("http://10.0.0.1", true).unwrap();
        for text in ["", "s3cret", "ws://s3cret", "https://s3cret@h", "https://:s3cret@h", "https://"] {
            let error = http_url(text, true).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
