//! An HTTP client for servers that a configuration names, with the suspicion that such a server deserves: redirects
//! are not followed, requests are not repeated, no proxy of the environment sees a request, and answers are read up
//! to a limit.
//!
//! Must not know what is asked, nor what an answer means. Errors never quote a URL, a header or a body.

use std::time::Duration;

use http::{Request, Response};
use rustls::ClientConfig;

use crate::tls::TlsError;
use crate::{USER_AGENT, innermost_reason};

/// Starts a client that follows no redirects, repeats nothing and uses no proxies.
pub fn client_builder(tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(USER_AGENT)
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
    /// Classifies an error of a request that was given `time`.
    pub fn new(error: reqwest::Error, time: Duration) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Connect(innermost_reason(&error))
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
    max_body: usize,
}

impl HttpClient {
    /// Uses a client, such as one of [`client_builder`]; of an answer's body at most `max_body` bytes are read.
    pub fn new(client: reqwest::Client, max_body: usize) -> Self {
        Self { client, max_body }
    }

    /// Sends a request within `time` and reads the answer, whatever its status is; a redirect is an answer too.
    ///
    /// # Errors
    /// When there is no answer, or too much of it.
    pub async fn send(
        &self,
        request: Request<Vec<u8>>,
        time: Duration,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let answer = async {
            let request = reqwest::Request::try_from(request).map_err(|error| HttpError::new(error, time))?;
            let mut answer =
                self.client.execute(request).await.map_err(|error| HttpError::new(error, time))?;
            let body = match read_body(&mut answer, self.max_body).await {
                Ok(Some(body)) => body,
                Ok(None) => return Err(HttpError::TooLarge { limit: self.max_body }),
                Err(error) => return Err(HttpError::new(error, time)),
            };
            let mut response = Response::new(body);
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok(response)
        };
        tokio::time::timeout(time, answer).await.unwrap_or(Err(HttpError::Timeout(time)))
    }
}

/// Reads the body of an answer; `None` when it has more than `limit` bytes.
///
/// # Errors
/// When the connection breaks.
pub async fn read_body(
    answer: &mut reqwest::Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    // A server that announces too much need not send it first.
    if answer.content_length().is_some_and(|length| length > limit as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
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
        HttpClient::new(client_builder(tls::client_config(None).unwrap()).build().unwrap(), max_body)
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
}
