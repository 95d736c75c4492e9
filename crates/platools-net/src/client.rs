//! An HTTP client for servers that a configuration names, with the suspicion that such a server deserves: redirects
//! are not followed, requests are not repeated, and answers are read up to a limit. Which proxy is used is decided in
//! one place for these and for other connections.
//!
//! Must not know what is asked, nor what an answer means. Errors never quote a URL, a header or a body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::ClientConfig;

use crate::body::{BodyError, BodyLimits};
use crate::dial::TunnelError;
use crate::proxy::{Proxy, ProxyConfig};
use crate::tls::TlsError;
use crate::{USER_AGENT, innermost_reason};

/// Where requests go whose proxy cannot be used: nowhere, since going directly is not what was meant. Port 0 cannot be
/// connected to.
const NOWHERE: &str = "http://127.0.0.1:0/";

/// Starts a client that follows no redirects and repeats nothing, through the proxies of `proxy`.
///
/// Whoever knows the URL beforehand asks [`ProxyConfig::for_url`] first, whose error says what is wrong with a
/// variable of the environment. Here, requests that need it only fail to connect.
pub fn client_builder(tls: ClientConfig, proxy: &ProxyConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(USER_AGENT);
    // A client with a proxy asks for each request whether it goes there.
    if proxy.is_direct() {
        return builder;
    }
    let proxy = proxy.clone();
    builder.proxy(reqwest::Proxy::custom(move |url| match proxy.for_url(url) {
        Ok(proxy) => Some(proxy?.whole().to_owned()),
        Err(_unusable) => Some(NOWHERE.to_owned()),
    }))
}

/// Returns the reason why a request got no connection, which names the proxy if there was one on the way.
pub fn connect_reason(error: &reqwest::Error, proxy: Option<&Proxy>) -> String {
    let reason = innermost_reason(error);
    let Some(proxy) = proxy else { return reason };
    // The library keeps the type of its errors, and the status of a refusal, to itself.
    let problem = match reason.strip_prefix("tunnel error: ") {
        Some("proxy authorization required") if proxy.has_credentials() => TunnelError::CredentialsRefused,
        Some("proxy authorization required") => TunnelError::CredentialsMissing,
        Some("proxy response headers too long") => TunnelError::TooLarge,
        Some(reason @ "unexpected end of file") => TunnelError::Broken(reason.to_owned()),
        Some("unsuccessful") if proxy.has_credentials() => {
            let refused = TunnelError::Refused(None);
            return format!(
                "the proxy {proxy} {refused}; or it refuses the user name and the password of its URL"
            );
        }
        Some("unsuccessful") => TunnelError::Refused(None),
        _ => return format!("{reason}, on the way through the proxy {proxy}"),
    };
    format!("the proxy {proxy} {problem}")
}

/// Finishes a client.
///
/// # Errors
/// When TLS cannot be set up.
pub fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, TlsError> {
    builder.build().map_err(|error| TlsError::Setup(innermost_reason(&error)))
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be made.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// No connection could be made: nothing of the request was sent.
    #[error("no connection could be made: {0}")]
    Connect(String),
    /// It took too long. The server may have seen the request.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The body is longer than the limit.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The connection broke, or the answer is not HTTP. The server may have seen the request.
    #[error("the answer could not be read: {0}")]
    Broken(String),
}

impl HttpError {
    /// Classifies an error of a request that was given `time` and goes through a proxy or not.
    fn new(error: reqwest::Error, proxy: Option<&Proxy>, time: Duration) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Connect(connect_reason(&error, proxy))
        } else if error.is_timeout() {
            Self::Timeout(time)
        } else if error.is_builder() {
            Self::Request(innermost_reason(&error))
        } else {
            Self::Broken(innermost_reason(&error))
        }
    }
}

/// Sends requests and reads answers up to a limit. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    proxy: Arc<ProxyConfig>,
    max_body: usize,
}

impl HttpClient {
    /// Uses a client, such as one of [`client_builder`]; of an answer's body at most `max_body` bytes are read.
    pub fn new(client: reqwest::Client, max_body: usize) -> Self {
        Self { client, proxy: Arc::new(ProxyConfig::direct()), max_body }
    }

    /// Tells which proxies the client was built with, so that errors name them.
    #[must_use]
    pub fn through(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = Arc::new(proxy);
        self
    }

    /// Sends a request and returns the head of the answer, which has to come within `time`; its body can be read piece
    /// by piece, for as long as it takes.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open<B: Into<reqwest::Body>>(
        &self,
        request: Request<B>,
        time: Duration,
    ) -> Result<Streamed, HttpError> {
        let opened = async {
            let request =
                reqwest::Request::try_from(request).map_err(|error| HttpError::new(error, None, time))?;
            let proxy = self.proxy.for_url(request.url());
            let proxy = proxy.map_err(|error| HttpError::Connect(error.to_string()))?;
            let answer = self.client.execute(request).await;
            answer.map(Streamed).map_err(|error| HttpError::new(error, proxy, time))
        };
        tokio::time::timeout(time, opened).await.unwrap_or(Err(HttpError::Timeout(time)))
    }

    /// Sends a request within `time` and reads the answer, whatever its status is; a redirect is an answer too.
    ///
    /// # Errors
    /// When there is no answer, or too much of it.
    pub async fn send<B: Into<reqwest::Body>>(
        &self,
        request: Request<B>,
        time: Duration,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let answer = async {
            let request =
                reqwest::Request::try_from(request).map_err(|error| HttpError::new(error, None, time))?;
            let proxy = self.proxy.for_url(request.url());
            let proxy = proxy.map_err(|error| HttpError::Connect(error.to_string()))?;
            let answer =
                self.client.execute(request).await.map_err(|error| HttpError::new(error, proxy, time))?;
            let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
            let body = BodyLimits::new(self.max_body).time(time).read(body).await;
            let mut response = Response::new(body.map_err(|error| match error {
                BodyError::TooLarge { limit } => HttpError::TooLarge { limit },
                BodyError::TooSlow => HttpError::Timeout(time),
                BodyError::Broken(reason) => HttpError::Broken(reason),
            })?);
            (*response.status_mut(), *response.headers_mut()) = (parts.status, parts.headers);
            Ok(response)
        };
        tokio::time::timeout(time, answer).await.unwrap_or(Err(HttpError::Timeout(time)))
    }
}

/// An answer whose body is read piece by piece. Dropping it closes the connection.
#[derive(Debug)]
pub struct Streamed(reqwest::Response);

impl Streamed {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// Reads the next piece of the body; `None` at its end. Can be abandoned at any time without losing one.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.0.chunk().await.map_err(|error| HttpError::Broken(innermost_reason(&error.without_url())))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls;

    const GUARD: Duration = Duration::from_secs(60);

    fn client(max_body: usize) -> HttpClient {
        through(&ProxyConfig::direct(), max_body)
    }

    fn through(proxy: &ProxyConfig, max_body: usize) -> HttpClient {
        let client = client_builder(tls::client_config(None).unwrap(), proxy).build().unwrap();
        HttpClient::new(client, max_body).through(proxy.clone())
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
    async fn a_body_can_be_read_while_it_comes() {
        let (more, wanted) = tokio::sync::oneshot::channel();
        let wanted = std::sync::Mutex::new(Some(wanted));
        let url = server(move |mut stream, _| {
            let wanted = wanted.lock().unwrap().take().unwrap();
            async move {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = wanted.await;
                let _ = stream.write_all(b"3\r\ndef\r\n").await;
            }
        })
        .await;
        let request = Request::get(&url).body(Vec::new()).unwrap();
        let mut answer = client(0).open(request, GUARD).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.chunk().await.unwrap().unwrap()), (200, "abc".into()));
        more.send(()).unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "def");
        assert!(matches!(answer.chunk().await, Err(HttpError::Broken(_))), "it is cut off");
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

    #[tokio::test]
    async fn a_request_goes_through_the_proxy_with_its_credentials() {
        let url = server(|mut stream, head| async move {
            let is_whole = head.starts_with("GET http://target.invalid/x HTTP/1.1\r\n")
                && head.to_ascii_lowercase().contains("proxy-authorization: basic yjpjqgq=\r\n");
            let status = if is_whole { "200 OK" } else { "400 Bad Request" };
            let _ =
                stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        })
        .await;
        let proxy = ProxyConfig::new(&url.replace("http://", "http://b:c%40d@")).unwrap();
        let client = through(&proxy, 0);
        assert_eq!(get(&client, "http://target.invalid/x", GUARD).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn what_a_proxy_does_wrong_is_said_of_the_proxy() {
        for (answer, credentials, expected) in [
            ("HTTP/1.1 407 No\r\n\r\n", "", "wants a user name and a password (407)"),
            ("HTTP/1.1 407 No\r\n\r\n", "name:s3cret@", "refuses the user name and the password"),
            ("HTTP/1.1 403 No\r\n\r\n", "", "does not connect to that host and port: have them allowed"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "", "does not connect to that host and port: have them allowed"),
            ("", "", "ended the connection instead of answering"),
        ] {
            let url = server(says(answer)).await;
            let proxy = ProxyConfig::new(&url.replace("http://", &format!("http://{credentials}"))).unwrap();
            let error = get(&through(&proxy, 9), "https://target.invalid/", GUARD).await.unwrap_err();
            let expected =
                format!("no connection could be made: the proxy {} {expected}", url.trim_end_matches('/'));
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let proxy = ProxyConfig::new(&format!("http://{free}")).unwrap();
        let error = get(&through(&proxy, 9), "https://target.invalid/", GUARD).await.unwrap_err();
        assert!(
            error.to_string().ends_with(&format!(", on the way through the proxy http://{free}")),
            "{error}"
        );
    }

    /// Neither through it nor directly.
    #[tokio::test]
    async fn a_proxy_that_cannot_be_used_is_an_error_of_the_requests_that_need_it() {
        let socks = ProxyConfig::from_lookup(|name| {
            (name == "ALL_PROXY").then(|| "socks5://name:s3cret@127.0.0.1:1".to_owned())
        });
        let client = through(&socks, 9);
        let error = get(&client, "http://192.0.2.1/", GUARD).await.unwrap_err();
        assert!(error.to_string().contains("ALL_PROXY is a SOCKS proxy"), "{error}");
        let bare = HttpClient { proxy: Arc::new(ProxyConfig::direct()), ..client.clone() };
        let error = get(&bare, "http://192.0.2.1/", GUARD).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect(_)), "{error}");
        let url = server(says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(get(&client, &url, GUARD).await.unwrap().status(), 200);
    }
}
