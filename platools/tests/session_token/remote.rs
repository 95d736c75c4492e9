//! The platform's mint: what is asked, and servers that fail, lie, or say nothing.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use platools::SecretSource;
use platools::session_token::{ClaimsError, MintError, RemoteMint, RemoteMintError, UserIdentity};
use platools::session_token::{SessionClaims, SessionScope, SessionToken, SessionTokens};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::forged::{base64, scope};

const BEARER: &str = "plt_ent_0123456789abcdef";
const GUARD: Duration = Duration::from_secs(60);

/// What a server does with one request.
#[derive(Clone)]
enum Answer {
    Says(String),
    /// Takes the request and says nothing.
    Silence,
    /// Takes the request and goes.
    HangsUp,
}

/// A server that gives its answers one after another, the last one for ever, and keeps what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let Ok(read @ 1..) = stream.read_buf(&mut request).await else { break };
                    let _ = read;
                }
                seen.lock().unwrap().push(String::from_utf8(request).unwrap());
                let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                match answer.unwrap() {
                    Answer::Says(text) => {
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Answer::Silence => silent.push(stream),
                    Answer::HangsUp => {}
                }
            }
        });
        Self { url, asked }
    }

    fn mint(&self) -> RemoteMint {
        mint(&self.url)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Whether a request is there with its body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:").and_then(|length| length.trim().parse().ok()));
    body.len() >= length.unwrap_or(0)
}

fn mint(url: &str) -> RemoteMint {
    RemoteMint::builder(url, SecretSource::text(BEARER), scope()).timeout(GUARD).build().unwrap()
}

fn says(status: u16, body: &str) -> Answer {
    says_with(status, "", body)
}

fn says_with(status: u16, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Says(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What the platform answers, for these claims of its token.
fn minted(claims: &Value, expires_at: u64) -> Answer {
    let token =
        format!("{}.{}.{}", base64(r#"{"alg":"ES256"}"#), base64(claims.to_string()), base64("signed"));
    says(200, &json!({"token": token, "expiresAt": expires_at}).to_string())
}

/// The platform means 200, and its framework answers 201.
#[tokio::test]
async fn a_token_that_is_called_created_is_one() {
    let Answer::Says(text) = minted(&right(now() + 600), now() + 600) else { panic!("it says something") };
    let created = Answer::Says(text.replacen("HTTP/1.1 200", "HTTP/1.1 201", 1));
    let (token, times) = answer_of([created]).await;
    assert_eq!((token.is_ok(), times), (true, 1));
}

fn right(exp: u64) -> Value {
    json!({"iss": "platos-platform", "organizationId": "org_1", "projectId": "proj_1", "environmentId": "env_1",
           "entityId": "orders", "userId": "usr_7", "iat": now(), "exp": exp})
}

async fn ask(mint: RemoteMint, claims: SessionClaims) -> Result<SessionToken, MintError> {
    tokio::time::timeout(GUARD * 2, SessionTokens::new(mint).mint(claims)).await.expect("in time")
}

async fn answer_of(
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<SessionToken, RemoteMintError>, usize) {
    let server = Server::start(answers).await;
    let answer = ask(server.mint(), SessionClaims::for_user("usr_7")).await;
    let answer = answer.map_err(|error| match error {
        MintError::Remote(error) => error,
        other => panic!("{other:?}"),
    });
    if let Err(error) = &answer {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("eyJ"), "{shown}");
    }
    (answer, server.asked().len())
}

#[tokio::test]
async fn the_request_is_the_one_of_the_page() {
    let exp = now() + 600;
    let mut claims = right(exp);
    claims["agentId"] = json!("agt_1");
    let server = Server::start([minted(&claims, exp)]).await;
    let asking = SessionClaims::for_user("usr_7")
        .lifetime(Duration::from_secs(600))
        .user_token("opaque")
        .agent("agt_1")
        .name("Ada")
        .identity(UserIdentity::new("SMS", "1"))
        .claim("plan", "pro");
    let token = ask(mint(&format!("{}/platform/?x=1", server.url)), asking).await.unwrap();
    assert_eq!(token.expires_at(), exp);
    let request = &server.asked()[0];
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /platform/api/v1/entities/orders/session-tokens HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains(&format!("authorization: bearer {BEARER}")), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap(),
        json!({"organizationId": "org_1", "projectId": "proj_1", "environmentId": "env_1", "userId": "usr_7",
               "userToken": "opaque", "ttlSeconds": 600, "agentId": "agt_1", "userMeta": {"name": "Ada"},
               "userIdentities": [{"channel": "sms", "handle": "1"}], "claims": {"plan": "pro"}})
    );
}

#[tokio::test]
async fn a_token_that_ends_earlier_than_the_answer_says_ends_when_it_ends() {
    let (token, _) = answer_of([minted(&right(now() + 100), now() + 9_000)]).await;
    assert!(token.unwrap().expires_at() <= now() + 100);
    let (token, _) = answer_of([minted(&right(now() + 500), now() + 100)]).await;
    assert!(token.unwrap().expires_at() <= now() + 100);
    let (error, _) = answer_of([minted(&right(now() + 9_000), now() + 100)]).await;
    assert_eq!(
        error.unwrap_err(),
        RemoteMintError::AnotherToken { claim: "exp" },
        "longer than was asked for"
    );
}

#[tokio::test]
async fn each_status_of_the_page_is_its_own_error_and_is_not_tried_again() {
    let (error, times) = answer_of([says(400, r#"{"error":"projectId is missing"}"#)]).await;
    let refused = RemoteMintError::Refused { message: "projectId is missing".to_owned() };
    assert_eq!((error.unwrap_err(), times), (refused, 1));
    for (status, expected) in [
        (401, RemoteMintError::Unauthorized),
        (403, RemoteMintError::Unauthorized),
        (404, RemoteMintError::NotFound),
        (500, RemoteMintError::Status { status: 500 }),
        (202, RemoteMintError::Status { status: 202 }),
        (418, RemoteMintError::Status { status: 418 }),
    ] {
        let (error, times) = answer_of([says(status, "<html>plt_ent_0123456789abcdef</html>")]).await;
        assert_eq!((error.unwrap_err(), times), (expected, 1), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_bearer_goes_nowhere_else() {
    let other = Server::start([minted(&right(now() + 600), now() + 600)]).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = says_with(status, &format!("location: {}/\r\n", other.url), "");
        let (error, times) = answer_of([answer]).await;
        assert_eq!((error.unwrap_err(), times), (RemoteMintError::Redirected { status }, 1));
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn what_passes_is_tried_again_twice_and_no_more() {
    let good = || minted(&right(now() + 600), now() + 600);
    for trouble in [says(502, ""), says(503, ""), says(504, ""), says(429, ""), Answer::HangsUp] {
        let (token, times) = answer_of([trouble.clone(), trouble.clone(), good()]).await;
        assert_eq!((token.is_ok(), times), (true, 3));
        let (error, times) = answer_of([trouble]).await;
        assert_eq!((error.unwrap_err().is_temporary(), times), (true, 3));
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept_when_it_is_short_and_the_end_when_it_is_long() {
    let (error, times) = answer_of([says_with(503, "retry-after: 3600\r\n", "")]).await;
    let expected = RemoteMintError::CannotSign { retry_after: Some(Duration::from_secs(3_600)) };
    assert_eq!((error.unwrap_err(), times), (expected, 1));
    let good = minted(&right(now() + 600), now() + 600);
    let started = tokio::time::Instant::now();
    let (token, times) = answer_of([says_with(503, "retry-after: 1\r\n", ""), good]).await;
    assert_eq!((token.is_ok(), times), (true, 2));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_that_says_nothing_gets_a_second_chance_within_the_time() {
    let good = minted(&right(now() + 600), now() + 600);
    let server = Server::start([Answer::Silence, good]).await;
    let short = |timeout| {
        RemoteMint::builder(&server.url, SecretSource::text(BEARER), scope())
            .timeout(timeout)
            .build()
            .unwrap()
    };
    // Half of the time for the first attempt.
    ask(short(Duration::from_secs(4)), SessionClaims::for_user("usr_7")).await.unwrap();

    let silent = Server::start([Answer::Silence]).await;
    let mint = RemoteMint::builder(&silent.url, SecretSource::text(BEARER), scope());
    let mint = mint.timeout(Duration::from_millis(300)).build().unwrap();
    let error = ask(mint, SessionClaims::for_user("usr_7")).await.unwrap_err();
    assert!(matches!(error, MintError::Remote(RemoteMintError::TimedOut { .. })), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_said_and_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(mint(&format!("http://{free}")), SessionClaims::for_user("usr_7")).await.unwrap_err();
    assert!(matches!(error, MintError::Remote(RemoteMintError::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_refused() {
    let exp = now() + 600;
    let good = format!("{}.{}.c2ln", base64(r#"{"alg":"ES256"}"#), base64(right(exp).to_string()));
    for (body, part) in [
        (String::new(), "nothing"),
        ("<!doctype html><h1>Welcome</h1>".to_owned(), "HTML"),
        ("OK".to_owned(), "not JSON"),
        ("{}".to_owned(), "JSON without"),
        (json!({"token": good}).to_string(), "JSON without"),
        (json!({"token": good, "expiresAt": "soon"}).to_string(), "JSON without"),
        (json!({"token": "secret-session-7", "expiresAt": exp}).to_string(), "three parts"),
        (json!({"token": "a.b.c", "expiresAt": exp}).to_string(), "malformed"),
        (json!({"token": format!("{good}="), "expiresAt": exp}).to_string(), "malformed"),
        (json!({"token": good.repeat(100), "expiresAt": exp}).to_string(), "too_large"),
    ] {
        let (error, times) = answer_of([says(200, &body)]).await;
        let error = error.unwrap_err();
        assert!(
            matches!(&error, RemoteMintError::NotAToken { problem } if problem.contains(part)),
            "{error:?}"
        );
        assert_eq!(times, 1);
    }
    let huge = format!("{{\"token\":\"{}\"}}", "x".repeat(1 << 20));
    let (error, times) = answer_of([says(200, &huge)]).await;
    assert_eq!((error.unwrap_err(), times), (RemoteMintError::TooLarge { limit: 65_536 }, 1));
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let exp = now() + 600;
    for (claim, value) in [
        ("userId", json!("usr_8")),
        ("userId", json!(null)),
        ("organizationId", json!("org_2")),
        ("projectId", json!("proj_2")),
        ("environmentId", json!("env_2")),
        ("entityId", json!(7)),
    ] {
        let mut claims = right(exp);
        claims[claim] = value;
        let (error, times) = answer_of([minted(&claims, exp)]).await;
        assert_eq!((error.unwrap_err(), times), (RemoteMintError::AnotherToken { claim }, 1));
    }
    // A pin that got lost would open more than was asked for.
    let server = Server::start([minted(&right(exp), exp)]).await;
    let error = ask(server.mint(), SessionClaims::for_user("usr_7").agent("agt_1")).await.unwrap_err();
    let expected = RemoteMintError::AnotherToken { claim: "agentId" };
    assert!(matches!(&error, MintError::Remote(found) if *found == expected), "{error:?}");
    for (inside, outside) in [(now() - 1, exp), (exp, now() - 1)] {
        let (error, _) = answer_of([minted(&right(inside), outside)]).await;
        assert_eq!(error.unwrap_err(), RemoteMintError::Expired);
    }
}

#[tokio::test]
async fn what_the_mint_cannot_do_is_said_before_anything_is_sent() {
    let server = Server::start([says(500, "")]).await;
    let error = ask(server.mint(), SessionClaims::for_user("usr_7").permission("read")).await.unwrap_err();
    let expected = ClaimsError::Unsupported { field: "permissions" };
    assert!(matches!(&error, MintError::Claims(found) if *found == expected), "{error:?}");
    ask(server.mint(), SessionClaims::for_user("")).await.unwrap_err();
    assert!(server.asked().is_empty());
}

/// A certificate authority in PEM, and a server's TLS with a certificate that it signed for `localhost`.
fn certificates() -> (String, rustls::ServerConfig) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
    (authority.pem(), config)
}

#[tokio::test]
async fn an_encrypted_mint_is_trusted_with_its_authority_and_sent_nothing_without() {
    let (authority, config) = certificates();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let Answer::Says(answer) = minted(&right(now() + 600), now() + 600) else { unreachable!() };
    let asked = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            *seen.lock().unwrap() += 1;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let file = std::env::temp_dir().join(format!("platools-mint-ca-{}.pem", std::process::id()));
    let mint = |authority: &str| {
        std::fs::write(&file, authority).unwrap();
        let mint = RemoteMint::builder(&url, SecretSource::text(BEARER), scope()).ca_file(&file);
        mint.timeout(GUARD).build().unwrap()
    };
    ask(mint(&authority), SessionClaims::for_user("usr_7")).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 1);
    let error = ask(mint(&certificates().0), SessionClaims::for_user("usr_7")).await.unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(error, MintError::Remote(RemoteMintError::Unreachable { .. })), "{error:?}");
    assert_eq!(*asked.lock().unwrap(), 1, "nobody untrusted was asked");
}

#[tokio::test]
async fn a_bearer_that_is_rotated_is_used() {
    let path = std::env::temp_dir().join(format!("platools-bearer-{}", std::process::id()));
    std::fs::File::create(&path).unwrap().write_all(BEARER.as_bytes()).unwrap();
    let server = Server::start([minted(&right(now() + 600), now() + 600)]).await;
    let mint = RemoteMint::builder(&server.url, SecretSource::file(&path), scope()).build().unwrap();
    let tokens = SessionTokens::new(mint);
    std::fs::write(&path, "plt_ent_another-bearer").unwrap();
    let started = std::time::Instant::now();
    // The file is looked at once a second.
    while !server.asked().iter().any(|request| request.contains("plt_ent_another-bearer")) {
        assert!(started.elapsed() < GUARD, "the rotation was not seen");
        tokens.mint(SessionClaims::for_user("usr_7")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_mint_that_cannot_work_is_not_built() {
    let build = |url: &str, bearer: &str, entity: &str| {
        let scope = SessionScope::new("o", "p", "e", entity);
        RemoteMint::builder(url, SecretSource::text(bearer), scope).build().unwrap_err().to_string()
    };
    let long = "e".repeat(65);
    for (url, bearer, entity, part) in [
        ("", BEARER, "orders", "not a URL"),
        ("wss://platos.example", BEARER, "orders", "https://"),
        ("http://platos.example", BEARER, "orders", "not encrypted"),
        ("https://a:b@platos.example", BEARER, "orders", "user name or password"),
        ("https://platos.example", "b7f1c2d3e4f5a6978899aabbccddeeff", "orders", "is it the service secret?"),
        ("https://platos.example", "plt_ent_", "orders", "too short"),
        ("https://platos.example", BEARER, "", "`entityId` is blank"),
        ("https://platos.example", BEARER, "or/ders", "`entityId`"),
        ("https://platos.example", BEARER, "örders", "`entityId`"),
        ("https://platos.example", BEARER, &long, "`entityId`"),
    ] {
        let error = build(url, bearer, entity);
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("b7f1c2") && !error.contains("0123456789"), "{error}");
    }
    let missing = RemoteMint::builder("https://h", SecretSource::file("/nowhere/at/all"), scope()).build();
    let missing = missing.unwrap_err().to_string();
    assert!(
        missing.contains("/nowhere/at/all") && missing.starts_with("the bearer of the platform"),
        "{missing}"
    );
    let shown = format!("{:?}", mint("http://127.0.0.1:9"));
    assert!(!shown.contains("plt_ent"), "{shown}");
}
