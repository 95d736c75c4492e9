//! Who is let in, by every door; and that none of them prints a secret, whatever goes wrong.

use std::fs::{File, read_to_string};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use platools::verify::Secret;
use platools_dev::DevPlatform;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::http::{Signed, request};
use super::support::{Folder, finished, program, terminate};

const JWT_SECRET: &str = "jwt-s3cret-jwt-s3cret-jwt-s3cret";

const MINT_BEARER: &str = "plt_ent_s3cret-s3cret-s3cret";

/// A user's token.
#[expect(clippy::needless_pass_by_value, reason = "the claims are written where it is called")]
fn token(secret: &str, algorithm: Algorithm, claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut all = json!({"sub": "usr_1", "iss": "the guard", "exp": now + 600});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    encode(&Header::new(algorithm), &all, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn user(roles: &[&str]) -> String {
    token(JWT_SECRET, Algorithm::HS256, json!({"roles": roles}))
}

/// Tokens that nobody should be let in with, and why.
fn bad_tokens() -> Vec<(String, &'static str)> {
    let signed = |claims: Value| token(JWT_SECRET, Algorithm::HS256, claims);
    let good = user(&["admin", "support"]);
    let (said, _) = good.rsplit_once('.').unwrap();
    let other = user(&[]);
    let (_, signature) = other.rsplit_once('.').unwrap();
    vec![
        ("garbage-that-is-no-token".to_owned(), "it is not a JSON Web Token"),
        (format!("{good}="), "it is not a JSON Web Token"),
        (good[..good.len() - 6].to_owned(), "it is not a JSON Web Token"),
        (format!("{said}.{signature}"), "its signature is invalid"),
        (token("another-s3cret-another-s3cret", Algorithm::HS256, json!({})), "its signature is invalid"),
        (token(JWT_SECRET, Algorithm::HS512, json!({})), "it is signed with an unexpected algorithm"),
        (signed(json!({"exp": 1})), "it has expired"),
        (signed(json!({"iss": "another guard"})), "it comes from another issuer"),
        (
            signed(json!({"aud": "another backend"})),
            "it has an audience (`aud`), and no audience is configured",
        ),
    ]
}

/// The guarded host, logging everything into a file.
struct Guarded {
    process: Child,
    http: SocketAddr,
    folder: Folder,
}

impl Guarded {
    fn start(platform: &DevPlatform, mint: &str) -> Self {
        let folder = Folder::new("guarded");
        let log = File::create(folder.file("log", "")).unwrap();
        let (url, secret) = (platform.url(), folder.file("secret", platform.secret().expose()));
        let variables = [
            ("PLATOS_URL", &*url),
            ("PLATOS_SECRET_FILE", &*secret),
            ("GUARD_JWT_SECRET", JWT_SECRET),
            ("GUARD_JWKS_URL", mint),
            ("GUARD_MINT_URL", mint),
            ("GUARD_MINT_BEARER", MINT_BEARER),
            ("RUST_LOG", "trace"),
        ];
        let mut process =
            program(env!("CARGO_BIN_EXE_guarded-host"), &variables).stderr(Stdio::from(log)).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let http = line.trim().parse().unwrap_or_else(|_| panic!("no address: {line}"));
        Self { process, http, folder }
    }

    /// Ends it, and gives everything that it wrote.
    async fn finish(self) -> String {
        let Self { process, folder, .. } = self;
        terminate(&process);
        let (succeeded, _) = finished(process).await;
        let log = read_to_string(folder.path("log")).unwrap();
        assert!(succeeded, "{log}");
        log
    }
}

/// A mint that answers with everything that it was sent.
async fn echoing_mint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut sent = vec![0; 8_192];
            let read = stream.read(&mut sent).await.unwrap_or_default();
            let body = String::from_utf8_lossy(&sent[..read]).into_owned();
            let length = body.len();
            let answer =
                format!("HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// The error of a call, or its result as JSON.
async fn call(platform: &DevPlatform, tool: &str, token: Option<&str>) -> String {
    let mut calling = platform.calling(tool);
    if let Some(token) = token {
        calling = calling.user_token(token);
    }
    let report = calling.send().await.unwrap();
    match report.error() {
        Some(error) => error.to_owned(),
        None => report.into_result().unwrap().to_string(),
    }
}

#[tokio::test]
async fn nobody_gets_in_where_they_do_not_belong_and_no_door_prints_a_secret() {
    let platform = DevPlatform::start().await.unwrap();
    let secret = platform.secret();
    let host = Guarded::start(&platform, &echoing_mint().await);
    platform.wait_for_tool("users").await.unwrap();
    let mut hidden = vec![secret.expose().to_owned(), JWT_SECRET.to_owned(), MINT_BEARER.to_owned()];

    // Over the WebSocket.
    let (viewer, support, admin) = (user(&["viewer"]), user(&["support"]), user(&["admin"]));
    let nobody = "denied: needs a verified user, and the call carries no user token";
    for (tool, token, expected) in [
        ("anybody", None, "null"),
        ("anybody", Some(&viewer), "\"usr_1\""),
        ("users", None, nobody),
        ("users", Some(&viewer), "\"usr_1\""),
        ("support", None, nobody),
        (
            "support",
            Some(&viewer),
            "denied: needs one of the roles `support`, `billing`; the user has none of them",
        ),
        ("support", Some(&support), "\"done\""),
        ("admins", Some(&support), "denied: needs an admin, which the user is not"),
        ("admins", Some(&admin), "\"done\""),
    ] {
        assert_eq!(call(&platform, tool, token.map(String::as_str)).await, expected, "{tool}");
    }
    // Whoever the envelope names, the identity is the token's.
    let paired = platform.calling("users").user("usr_2").user_token(&viewer).send().await.unwrap();
    assert_eq!(paired.into_result().unwrap().to_string(), "\"usr_1\"");
    for (token, reason) in bad_tokens() {
        for tool in ["anybody", "users", "admins"] {
            let answer = call(&platform, tool, Some(&token)).await;
            assert_eq!(answer, format!("denied: the user token was refused: {reason}"));
        }
        hidden.push(token);
    }

    // With keys that cannot be fetched, and an authenticator that breaks.
    for token in ["entity-t0ken", "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl", "panic-t0ken"] {
        let report = platform.calling("users").entity_token(token).send().await.unwrap();
        let error = report.error().unwrap();
        assert!(error.starts_with("denied: "), "{token}: {error}");
        hidden.push(token.to_owned());
    }

    // Over HTTP.
    let signed = |tool: &str| Signed::new(&secret, tool, "{}");
    let as_user = [("X-Platos-User-Token", admin.as_str()), ("X-Platos-Entity-Token", "entity-t0ken")];
    let answer = signed("admins").post(host.http, &as_user).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"done\""), "{answer:?}");
    for (token, reason) in bad_tokens() {
        let answer = signed("users").post(host.http, &[("X-Platos-User-Token", &token)]).await;
        assert!(answer.status == 403 && answer.body.ends_with(reason), "{answer:?}");
        hidden.push(token);
    }
    let once = signed("users");
    let statuses = [once.post(host.http, &as_user).await.status, once.post(host.http, &as_user).await.status];
    assert_eq!(statuses, [200, 401]);
    let forged = Signed::new(&Secret::new("another-s3cret-0123456789").unwrap(), "users", "{}");
    assert_eq!(forged.post(host.http, &as_user).await.status, 401);
    assert_eq!(request(host.http, "POST", "/calls", &as_user, "{\"user-t0ken\":").await.status, 401);
    assert_eq!(request(host.http, "GET", "/calls", &as_user, "").await.status, 405);

    // Session tokens.
    let body = r#"{"userId":"root","entityId":"another","secret":"b0dy-s3cret"}"#;
    for (login, status) in [(None, 401), (Some("broken"), 500), (Some("usr_9"), 200)] {
        let headers: Vec<_> = login.map(|login| ("x-login", login)).into_iter().chain(as_user).collect();
        let answer = request(host.http, "POST", "/api/platos-session", &headers, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.head.to_ascii_lowercase().contains("cache-control: no-store"), "{answer:?}");
        if status == 200 {
            let minted: Value = serde_json::from_str(&answer.body).unwrap();
            hidden.push(minted["token"].as_str().unwrap().to_owned());
        }
    }

    // A secret that was rotated, to a file that holds no good one.
    host.folder.file("secret", "short-s3cret");
    let seen = platform.counters().refused;
    platform.faults().rotate_secret().unwrap();
    platform.wait_for_counters(|counters| counters.refused > seen).await.unwrap();
    hidden.extend(["short-s3cret".to_owned(), platform.secret().expose().to_owned()]);

    hidden.extend([viewer, support, admin, "entity-t0ken".to_owned(), "b0dy-s3cret".to_owned()]);
    let log = host.finish().await;
    for line in [
        "the user token was refused: it has expired",
        "needs an admin",
        "nonce_replay",
        "not minted",
        "no limit per address",
        "the authenticator panicked",
        "no keys of the tokens' issuer",
        "has 12 characters",
    ] {
        assert!(log.contains(line), "it did log {line}: {log}");
    }
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it did log everything");
    for secret in hidden {
        assert!(!log.contains(&secret), "{secret} is in the log: {log}");
    }
}
