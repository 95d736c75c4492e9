//! Connections: TCP, TLS, through a proxy or not, and the handshake of a WebSocket.
//!
//! Must not know what is said over them. Errors do not quote URLs or headers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::transport::Transport;
pub use crate::tunnel::TunnelError;
use crate::{Proxy, innermost_reason, tls, tunnel};

/// The longest that one address of a host may take to answer.
const EACH_ADDRESS: Duration = Duration::from_secs(4);

/// How much is read from a WebSocket at once. The library zeroes as much before each read, so more would make a single
/// message slower.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// How much of what was written may wait for a peer that does not read, in bytes, besides one message of the greatest
/// size. Without a bound, the replies to a flood of pings would pile up.
const WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// How much of an extension's name is in an error, in characters.
const LONGEST_EXTENSION: usize = 40;

/// A byte stream, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection, encrypted or not.
pub type Connection = Box<dyn Stream>;

/// An open WebSocket over a [`Connection`].
pub type WebSocket = WebSocketStream<Transport>;

/// A connection that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No TCP connection could be made.
    #[error("cannot connect to {host}:{port}: {}", self.reason())]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The reason of the last address that was tried.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("no TLS with {host}:{port}: {}", self.reason())]
    Tls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The error of TLS.
        source: io::Error,
    },
    /// No connection to the proxy could be made.
    #[error("the proxy {proxy} cannot be reached: {source}")]
    Proxy {
        /// The proxy's URL, without credentials.
        proxy: String,
        /// Why.
        source: Box<DialError>,
    },
    /// The proxy gave no connection.
    #[error("cannot connect to {host}:{port}: the proxy {proxy} {problem}")]
    Tunnel {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The proxy's URL, without credentials.
        proxy: String,
        /// Why.
        problem: TunnelError,
    },
}

impl DialError {
    /// Returns the reason alone, for hosts that must not be named.
    pub fn reason(&self) -> String {
        match self {
            Self::Tls { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                "it ended the connection during the handshake; if it speaks no TLS, begin the URL with `ws://` or `http://`"
                    .to_owned()
            }
            Self::Connect { source, .. } | Self::Tls { source, .. } => innermost_reason(source),
            Self::Proxy { .. } => self.to_string(),
            Self::Tunnel { proxy, problem, .. } => format!("the proxy {proxy} {problem}"),
        }
    }
}

/// Connects to a host, with TLS where a configuration is given, and through a proxy where one is given. `host` is a
/// name or an address, IPv6 without brackets. A proxy resolves the name itself.
///
/// The addresses of the host are tried one after the other, each for a few seconds, so that one that swallows packets
/// leaves time for the others.
///
/// # Errors
/// When no address accepts the connection, the proxy gives none, or the TLS handshake fails.
pub async fn connect(
    host: &str,
    port: u16,
    tls: Option<&Arc<ClientConfig>>,
    proxy: Option<&Proxy>,
) -> Result<Connection, DialError> {
    match proxy {
        None => connect_directly(host, port, tls).await,
        Some(proxy) => {
            let stream = connect_through(proxy, host, port, tls).await?;
            encrypt(host, port, stream, tls).await
        }
    }
}

/// Connects to a host at one of these addresses and at no other, whatever its name resolves to meanwhile: for callers
/// who have checked them. Otherwise like [`connect`] without a proxy.
///
/// # Errors
/// When no address accepts the connection, or the TLS handshake fails.
pub async fn connect_at(
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, DialError> {
    let connected = connect_tcp(addresses.iter().copied()).await;
    let stream = connected.map_err(|source| DialError::Connect { host: host.to_owned(), port, source })?;
    encrypt(host, port, Box::new(stream), tls).await
}

async fn connect_directly(
    host: &str,
    port: u16,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, DialError> {
    let connected = async { connect_tcp(tokio::net::lookup_host((host, port)).await?).await };
    let stream =
        connected.await.map_err(|source| DialError::Connect { host: host.to_owned(), port, source })?;
    encrypt(host, port, Box::new(stream), tls).await
}

/// Opens a connection to `host` through a proxy. `target_tls` is for an encrypted proxy as well: whoever trusts more
/// certificates trusts them there too.
async fn connect_through(
    proxy: &Proxy,
    host: &str,
    port: u16,
    target_tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, DialError> {
    let to_proxy = async {
        let tls = match (proxy.is_tls(), target_tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(Arc::clone(tls)),
            (true, None) => Some(Arc::new(tls::client_config(None).map_err(|error| DialError::Tls {
                host: proxy.host(),
                port: proxy.port(),
                source: io::Error::other(error),
            })?)),
        };
        connect_directly(&proxy.host(), proxy.port(), tls.as_ref()).await
    };
    let mut stream = to_proxy
        .await
        .map_err(|source| DialError::Proxy { proxy: proxy.to_string(), source: Box::new(source) })?;
    match tunnel::open(&mut stream, host, port, proxy).await {
        Ok(()) => Ok(stream),
        Err(problem) => {
            Err(DialError::Tunnel { host: host.to_owned(), port, proxy: proxy.to_string(), problem })
        }
    }
}

async fn encrypt(
    host: &str,
    port: u16,
    stream: Connection,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, DialError> {
    let Some(tls) = tls else { return Ok(stream) };
    let encrypted = connect_tls(host, stream, tls).await;
    encrypted.map_err(|source| DialError::Tls { host: host.to_owned(), port, source })
}

async fn connect_tcp(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in addresses {
        match timeout(EACH_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Messages are small or batched already; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(_elapsed) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

async fn connect_tls(host: &str, stream: Connection, tls: &Arc<ClientConfig>) -> io::Result<Connection> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

/// Makes a WebSocket of a connection. Messages of more than `max_message` bytes break it.
///
/// # Errors
/// When the server does not accept the handshake; its answer is in the error. When it accepts an extension, such as
/// compression: none was offered, so what it sends could not be read (RFC 6455 §4.1).
pub async fn upgrade(
    request: Request<()>,
    connection: Connection,
    max_message: usize,
) -> Result<WebSocket, WebSocketError> {
    let transport = Transport::new(connection);
    let opened =
        tokio_tungstenite::client_async_with_config(request, transport, Some(config(max_message))).await;
    let (socket, response) = opened?;
    let extensions = response.headers().get_all(SEC_WEBSOCKET_EXTENSIONS);
    match extensions.iter().find(|extension| !extension.as_bytes().trim_ascii().is_empty()) {
        None => Ok(socket),
        Some(extension) => {
            let name = extension.to_str().unwrap_or_default().split([';', ',']).next().unwrap_or_default();
            let name: String = name.trim().chars().take(LONGEST_EXTENSION).collect();
            let problem = format!(
                "the server uses the WebSocket extension `{name}`, which was not offered; switch it off there, or in \
                 the proxy that adds it"
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, problem).into())
        }
    }
}

fn config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_write_buffer_size(max_message.saturating_add(WRITE_BUFFER_BYTES))
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::{ProxyConfig, tls};

    /// A server of one connection that gets a byte and sends it back; with its port and its certificate.
    async fn echo() -> (u16, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let accepted = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
            if let Ok(mut stream) = accepted {
                let byte = stream.read_u8().await.unwrap();
                stream.write_u8(byte).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (port, made.cert.pem())
    }

    #[tokio::test]
    async fn tls_is_spoken_with_a_server_whose_issuer_is_trusted() {
        let (port, pem) = echo().await;
        let trusting = tls::client_config_with(tls::certificates(pem.as_bytes()).unwrap()).unwrap();
        let mut connection = connect("localhost", port, Some(&Arc::new(trusting)), None).await.unwrap();
        connection.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_issuer_that_is_not_trusted_says_what_to_do() {
        let (port, _) = echo().await;
        let config = Arc::new(tls::client_config(None).unwrap());
        let Err(error) = connect("localhost", port, Some(&config), None).await else { panic!("connected") };
        let error = error.to_string();
        assert!(error.starts_with("no TLS with localhost:") && error.contains("with `ca_file`"), "{error}");
    }

    /// It answers in plain HTTP, or hangs up.
    #[tokio::test]
    async fn tls_with_a_plain_port_says_what_to_write() {
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "what answers there speaks no TLS"),
            (b"", "it ended the connection during the handshake"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.unwrap();
            });
            let config = Arc::new(tls::client_config(None).unwrap());
            let Err(error) = connect("127.0.0.1", port, Some(&config), None).await else {
                panic!("connected")
            };
            let error = error.to_string();
            assert!(error.contains(expected) && error.contains("`ws://`"), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_that_listens_and_no_websocket_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connection = connect("127.0.0.1", port, None, None).await.unwrap();
        let request = format!("ws://127.0.0.1:{port}/").into_client_request().unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        };
        let (opened, ()) = tokio::join!(upgrade(request, connection, 1_024), answer);
        assert!(matches!(opened, Err(WebSocketError::Http(answer)) if answer.status() == 401));

        drop(listener);
        let Err(error) = connect("127.0.0.1", port, None, None).await else { panic!("connected") };
        assert!(error.to_string().starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");
    }

    /// The server accepts the handshake, with these lines in its answer.
    async fn upgraded(lines: &str) -> Result<(), String> {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let request = "ws://127.0.0.1/".into_client_request().unwrap();
        let key = request.headers()["sec-websocket-key"].as_bytes();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {accept}\r\n{lines}\r\n"
        );
        far.write_all(answer.as_bytes()).await.unwrap();
        upgrade(request, Box::new(near), 1_024).await.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn an_extension_that_was_not_offered_fails_the_handshake() {
        for lines in ["", "sec-websocket-extensions: \r\n"] {
            upgraded(lines).await.unwrap();
        }
        for lines in [
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits=15\r\n",
            "sec-websocket-extensions:\r\nSec-WebSocket-Extensions: permessage-deflate, x\r\n",
        ] {
            let error = upgraded(lines).await.unwrap_err();
            let expected =
                "the server uses the WebSocket extension `permessage-deflate`, which was not offered";
            assert!(error.contains(expected), "{error}");
        }
        let long = format!("sec-websocket-extensions: {}\r\n", "x".repeat(1_000));
        assert!(upgraded(&long).await.unwrap_err().len() < 300);
    }

    fn proxy(config: &ProxyConfig) -> &Proxy {
        config.for_url(&"wss://target.invalid/".parse().unwrap()).unwrap().unwrap()
    }

    /// A proxy of one connection, which tells the head of the request and then connects to `port` of this machine.
    async fn forwarding(port: u16) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            String::from_utf8(head).unwrap()
        });
        (own, task)
    }

    /// TLS is spoken with the target through the proxy, whose name the target's need not have; and with the proxy,
    /// where its URL says so. No name is resolved here.
    #[tokio::test]
    async fn a_proxy_stands_between_and_may_be_encrypted_itself() {
        let (target, pem) = echo().await;
        let (port, task) = forwarding(target).await;
        let trusting = tls::client_config_with(tls::certificates(pem.as_bytes()).unwrap()).unwrap();
        let trusting = Arc::new(trusting);
        let config = ProxyConfig::new(&format!("http://a:b@127.0.0.1:{port}")).unwrap();
        let mut connection = connect("localhost", 443, Some(&trusting), Some(proxy(&config))).await.unwrap();
        connection.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
        drop(connection);
        let head = task.await.unwrap();
        assert!(head.starts_with("CONNECT localhost:443 ") && head.contains("Basic YTpi\r\n"), "{head}");

        // It hangs up after a byte, so that what it understood of the request was TLS.
        let (port, pem) = echo().await;
        let trusting = tls::client_config_with(tls::certificates(pem.as_bytes()).unwrap()).unwrap();
        let trusting = Arc::new(trusting);
        let config = ProxyConfig::new(&format!("https://localhost:{port}")).unwrap();
        let Err(error) = connect("target.invalid", 443, Some(&trusting), Some(proxy(&config))).await else {
            panic!("connected")
        };
        let expected = format!(
            "cannot connect to target.invalid:443: the proxy https://localhost:{port} does not answer as an HTTP proxy: \
             check its URL"
        );
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn a_proxy_that_is_not_there_is_named() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config = ProxyConfig::new(&format!("http://name:s3cret@{free}")).unwrap();
        let Err(error) = connect("target.invalid", 443, None, Some(proxy(&config))).await else {
            panic!("connected")
        };
        let shown = format!("{error} {error:?} {}", error.reason());
        let start = format!("the proxy http://{free} cannot be reached: cannot connect to {free}: ");
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(!shown.contains("s3cret") && !error.reason().contains("target.invalid"), "{shown}");
    }

    /// The peer pings, and reads none of the replies before it is done.
    #[tokio::test]
    async fn the_replies_to_a_flood_of_pings_are_bounded() {
        const MAX_MESSAGE: usize = 64 * 1024;
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let connection: Connection = Box::new(near);
        let mut socket =
            WebSocketStream::from_raw_socket(connection, Role::Client, Some(config(MAX_MESSAGE))).await;
        let client = async move {
            while socket.next().await.is_some_and(|message| message.is_ok_and(|message| !message.is_text())) {
            }
            let _ = socket.flush().await;
        };
        let peer = async move {
            let mut ping = vec![0x89, 125];
            ping.resize(127, b'x');
            for _ in 0..40_000 {
                far.write_all(&ping).await.unwrap();
            }
            far.write_all(&[0x81, 1, b'x']).await.unwrap();
            let mut replies = Vec::new();
            far.read_to_end(&mut replies).await.unwrap();
            replies.len()
        };
        let ((), replies) = tokio::join!(client, peer);
        let bound = MAX_MESSAGE + WRITE_BUFFER_BYTES + 64 * 1024;
        assert!((bound / 2..2 * bound).contains(&replies), "{replies} bytes, of 5 MB");
    }
}
