//! Tests with valid and invalid tokens and every kind of key.

#![expect(clippy::disallowed_methods, reason = "tokens that are signed with RSA are verified")]

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a secret that two sides share...";

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("test_keys/", $name, ".pem"))
    };
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns claims that expire in an hour, extended by `more`; `null` removes a claim.
fn claims(more: &Value) -> Value {
    let mut claims = json!({"sub": "usr_7", "roles": ["support"], "exp": now() + 3_600});
    for (name, value) in more.as_object().unwrap().clone() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(&name);
        } else {
            claims[name] = value;
        }
    }
    claims
}

#[expect(clippy::needless_pass_by_value, reason = "the claims are written where it is called")]
fn token(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, more: Value) -> String {
    choose_provider();
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims(&more), key).unwrap()
}

/// Returns a token signed with [`SECRET`].
fn shared(more: Value) -> String {
    token(Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()), None, more)
}

fn users() -> JwtAuthenticator {
    JwtAuthenticator::shared_secret(SECRET).unwrap()
}

async fn ask(authenticator: &JwtAuthenticator, token: &str) -> Result<Identity, String> {
    let answer = authenticator.authenticate(&Credentials::new().with_user_token(token)).await;
    answer.map_err(|error| match error {
        AuthenticationError::Rejected(reason) => reason,
        error => format!("{error:?}"),
    })
}

/// Returns the reason for which a token is rejected.
async fn rejected(authenticator: &JwtAuthenticator, token: &str) -> String {
    let reason = ask(authenticator, token).await.expect_err("it is rejected");
    assert!(!reason.contains(token) || token.is_empty(), "{reason}");
    reason
}

#[test]
fn a_key_that_cannot_be_used_reads_well_when_main_returns_it() {
    let main =
        || -> crate::Result<()> { JwtAuthenticator::shared_secret("short").map(drop).map_err(Into::into) };
    let shown = format!("{:?}", main().unwrap_err());
    assert!(shown.starts_with("the shared secret has 5 bytes; "), "{shown}");
}

#[tokio::test]
async fn a_valid_token_gives_the_user_roles_claims_and_expiry() {
    let identity = ask(&users(), &shared(json!({"name": "Ada"}))).await.unwrap();
    assert_eq!((identity.subject(), identity.roles()), ("usr_7", &["support".to_owned()][..]));
    assert_eq!(identity.claim("name"), Some(&json!("Ada")));
    let left = identity.expires_at().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!((3_500..=3_600).contains(&left.as_secs()), "{left:?}");
    assert!(!format!("{identity:?}").contains("Ada"));
}

#[tokio::test]
async fn claims_are_mapped_to_subject_roles_and_admin() {
    let mapped = users().subject_claim("user.id").roles_claim("realm_access.roles").admin_role("superuser");
    let token = |roles: Value| shared(json!({"user": {"id": 7}, "realm_access": {"roles": roles}}));
    let identity = ask(&mapped, &token(json!("admin viewer"))).await.unwrap();
    assert_eq!((identity.subject(), identity.roles()), ("7", &["viewer".to_owned()][..]));
    assert!(!identity.is_admin(), "admins have another name here");
    assert!(ask(&mapped, &token(json!(["superuser"]))).await.unwrap().is_admin());
    assert!(ask(&users(), &shared(json!({"roles": ["admin"]}))).await.unwrap().is_admin());
    assert_eq!(rejected(&mapped, &shared(json!({}))).await, "it does not name the user (`user.id`)");
    for subject in [json!(""), json!(true), json!(7), json!(7.0), json!(1e30), Value::Null] {
        assert!(rejected(&users(), &shared(json!({"sub": subject}))).await.contains("(`sub`)"));
    }
}

#[tokio::test]
async fn time_issuer_and_audience_are_validated() {
    let strict = users().issuer("us").issuer("them").audience("orders").leeway(Duration::from_secs(30));
    let good = json!({"iss": "them", "aud": ["billing", "orders"]});
    assert!(ask(&strict, &shared(good.clone())).await.is_ok());
    let with = |name: &str, value: Value| {
        let mut more = good.clone();
        more[name] = value;
        shared(more)
    };
    for (token, reason) in [
        (with("iss", json!("others")), "it comes from another issuer"),
        (with("iss", json!(["us", "others"])), "its `iss` is not a text"),
        (with("iss", Value::Null), "it has no usable `iss`"),
        (with("aud", json!("billing")), "it is for another audience"),
        (with("aud", Value::Null), "it has no usable `aud`"),
        (with("exp", json!(now() - 40)), "it has expired"),
        (with("exp", Value::Null), "it has no usable `exp`"),
        (with("exp", json!("tomorrow")), "it has no usable `exp`"),
        (with("nbf", json!(now() + 60)), "it is not valid yet"),
    ] {
        assert_eq!(rejected(&strict, &token).await, reason);
    }
    assert!(ask(&strict, &with("exp", json!(now() - 10))).await.is_ok(), "within the leeway");
    assert!(ask(&strict, &with("nbf", json!(now() + 10))).await.is_ok(), "within the leeway");
    assert_eq!(rejected(&users(), &shared(json!({"exp": now() - 2}))).await, "it has expired");
    let unexpected = rejected(&users(), &shared(json!({"aud": "orders"}))).await;
    assert_eq!(unexpected, "it has an audience (`aud`), and no audience is configured");
}

#[tokio::test]
async fn a_token_made_for_another_purpose_names_nobody() {
    let typed = |name: Option<&str>| {
        let header = Header { typ: name.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(&json!({})), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    let access = users().token_type("application/at+jwt");
    for (name, by_default, as_access) in [
        (None, true, false),
        (Some("JWT"), true, false),
        (Some("jwt"), true, false),
        (Some("at+JWT"), true, true),
        (Some("application/at+jwt"), true, true),
        (Some("logout+jwt"), false, false),
        (Some("secevent+jwt"), false, false),
        (Some("JOSE"), false, false),
        (Some(""), false, false),
    ] {
        for (authenticator, accepted) in [(&users(), by_default), (&access, as_access)] {
            let answer = ask(authenticator, &typed(name)).await.map(drop);
            let expected =
                if accepted { Ok(()) } else { Err("it is a token of another type (`typ`)".to_owned()) };
            assert_eq!(answer, expected, "{name:?}");
        }
    }
}

#[tokio::test]
async fn a_huge_expiry_does_not_overflow() {
    // The largest number of seconds that a float holds; with the leeway it overflows a duration.
    let latest = json!(18_446_744_073_709_549_568_u64);
    for end in [latest, json!(1e18), json!(u64::MAX)] {
        let users = users().leeway(Duration::from_secs(3_600));
        assert!(ask(&users, &shared(json!({"exp": end}))).await.is_ok(), "{end}");
    }
}

#[tokio::test]
async fn critical_extensions_are_rejected() {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    choose_provider();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&header, &claims(&json!({})), &key).unwrap();
    assert!(rejected(&users(), &token).await.contains("critical"));
}

#[tokio::test]
async fn public_keys_of_every_kind_verify_and_nothing_else_does() {
    let rsa = EncodingKey::from_rsa_pem(key!("rsa").as_bytes()).unwrap();
    let p256 = EncodingKey::from_ec_pem(key!("p256").as_bytes()).unwrap();
    let p384 = EncodingKey::from_ec_pem(key!("p384").as_bytes()).unwrap();
    let ed25519 = EncodingKey::from_ed_pem(key!("ed25519").as_bytes()).unwrap();
    let all = [
        (key!("rsa.pub"), token(Algorithm::RS256, &rsa, None, json!({}))),
        (key!("p256.pub"), token(Algorithm::ES256, &p256, None, json!({}))),
        (key!("p384.pub"), token(Algorithm::ES384, &p384, None, json!({}))),
        (key!("ed25519.pub"), token(Algorithm::EdDSA, &ed25519, None, json!({}))),
    ];
    for (index, (pem, _)) in all.iter().enumerate() {
        let authenticator = JwtAuthenticator::public_key_pem(pem).unwrap();
        for (other, (_, token)) in all.iter().enumerate() {
            assert_eq!(ask(&authenticator, token).await.is_ok(), index == other, "{pem}");
        }
        // Algorithm confusion: the public key used as an HMAC secret.
        let confused = EncodingKey::from_secret(pem.as_bytes());
        let confused = token(Algorithm::HS256, &confused, None, json!({}));
        let reason = rejected(&authenticator, &confused).await;
        assert_eq!(reason, "it is signed with an unexpected algorithm");
    }
    let pss = token(Algorithm::PS256, &rsa, None, json!({}));
    let plain = JwtAuthenticator::public_key_pem(key!("rsa.pub")).unwrap();
    assert!(rejected(&plain, &pss).await.contains("unexpected algorithm"));
    let pinned = plain.algorithms([JwtAlgorithm::PS256]).unwrap();
    assert!(ask(&pinned, &pss).await.is_ok());
    assert!(rejected(&pinned, &all[0].1).await.contains("unexpected algorithm"));
}

#[tokio::test]
async fn a_malformed_token_is_rejected_and_not_quoted() {
    let good = shared(json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
    let none = format!("{}.{payload}.", part(r#"{"alg":"none","typ":"JWT"}"#));
    for token in [
        none.as_str(),
        "garbage",
        "..",
        "a.b",
        &good[..good.len() - 4],
        &format!("{good}="),
        &format!("{good}.more"),
        &format!(" {good}"),
        &format!("{header}.{payload}"),
        &format!("{header}..{signature}"),
        &format!("{header}.{}.{signature}", part(r#"{"sub":"root","exp":9999999999}"#)),
        &format!("{}.{payload}.{signature}", part(r#"{"alg":"HS512"}"#)),
        &format!("{}.{payload}.{signature}", part("[]")),
        &"x".repeat(1 << 20),
    ] {
        rejected(&users(), token).await;
    }
    let twice = part(r#"{"sub":"usr_7","sub":"root","exp":9999999999}"#);
    let signed = format!("{header}.{twice}");
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    let twice = format!("{signed}.{signature}");
    assert_eq!(rejected(&users(), &twice).await, "it has a duplicate claim");
    assert_eq!(rejected(&users(), &"x".repeat(1 << 20)).await, "it is too long to be a JSON Web Token");
    let other = JwtAuthenticator::shared_secret("another secret of two sides").unwrap();
    assert_eq!(rejected(&other, &good).await, "its signature is invalid");
}

#[tokio::test]
async fn the_verified_token_is_configurable() {
    let entity = users().from_entity_token();
    let credentials = Credentials::new().with_entity_token(shared(json!({})));
    assert!(entity.authenticate(&credentials).await.is_ok());
    let none = users().authenticate(&credentials).await.unwrap_err();
    assert!(matches!(none, AuthenticationError::NoCredentials), "{none:?}");
}

#[test]
fn unusable_keys_are_reported() {
    for (error, part) in [
        (JwtAuthenticator::shared_secret("short").unwrap_err(), "has 5 bytes"),
        (JwtAuthenticator::public_key_pem(key!("rsa")).unwrap_err(), "private key"),
        (JwtAuthenticator::public_key_pem("hello").unwrap_err(), "not a public key"),
        (JwtAuthenticator::jwks_json("hello").unwrap_err(), "not a JSON Web Key Set"),
        (JwtAuthenticator::jwks_json(r#"{"keys":[]}"#).unwrap_err(), "no usable public key"),
        (
            JwtAuthenticator::jwks_json(r#"{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]}"#).unwrap_err(),
            "1 keys",
        ),
        (users().algorithms([JwtAlgorithm::RS256]).unwrap_err(), "RS256"),
        (
            JwtAuthenticator::public_key_pem(key!("p256.pub"))
                .unwrap()
                .algorithms([JwtAlgorithm::ES384])
                .unwrap_err(),
            "ES384",
        ),
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Returns a key set with the RSA key as `one`, the P-256 key as `two`, and unusable keys.
fn key_set() -> Value {
    choose_provider();
    let jwk = |key: &EncodingKey, algorithm, id: &str| {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
        jwk["kid"] = id.into();
        jwk
    };
    let rsa = EncodingKey::from_rsa_pem(key!("rsa").as_bytes()).unwrap();
    let p256 = EncodingKey::from_ec_pem(key!("p256").as_bytes()).unwrap();
    let mut for_encryption = jwk(&rsa, Algorithm::RS256, "three");
    for_encryption["use"] = "enc".into();
    json!({"keys": [
        {"kty": "later", "kid": "one"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "alg": "HS256", "kid": "four"},
        for_encryption,
        jwk(&rsa, Algorithm::RS256, "one"),
        jwk(&p256, Algorithm::ES256, "two"),
    ]})
}

#[tokio::test]
async fn a_token_names_its_key_of_a_set() {
    let authenticator = JwtAuthenticator::jwks_json(&key_set().to_string()).unwrap();
    let rsa = EncodingKey::from_rsa_pem(key!("rsa").as_bytes()).unwrap();
    let p256 = EncodingKey::from_ec_pem(key!("p256").as_bytes()).unwrap();
    for (kid, result) in [
        (Some("one"), Ok(())),
        (None, Ok(())),
        (Some("two"), Err("it is signed with an unexpected algorithm")),
        (Some("three"), Err("it is signed with an unknown key")),
    ] {
        let token = token(Algorithm::RS256, &rsa, kid, json!({}));
        let answer = ask(&authenticator, &token).await.map(|_| ());
        assert_eq!(answer, result.map_err(str::to_owned), "{kid:?}");
    }
    assert!(ask(&authenticator, &token(Algorithm::ES256, &p256, Some("two"), json!({}))).await.is_ok());
    let secret = EncodingKey::from_secret(b"secret-secret-secret");
    rejected(&authenticator, &token(Algorithm::HS256, &secret, Some("four"), json!({}))).await;
}

#[cfg(feature = "jwks")]
mod published {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    /// Starts a key server; `answer` returns the response for the number of the request.
    async fn server(answer: impl Fn(usize) -> String + Send + 'static) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = answer(counted.fetch_add(1, Ordering::Relaxed));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, requests)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    fn rsa_token(kid: &str) -> String {
        let rsa = EncodingKey::from_rsa_pem(key!("rsa").as_bytes()).unwrap();
        token(Algorithm::RS256, &rsa, Some(kid), json!({}))
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_for_a_new_key_but_not_for_every_made_up_one() {
        let (url, requests) = server(|request| {
            let mut keys = key_set();
            if request > 0 {
                keys["keys"][3]["kid"] = "new".into();
            }
            ok(&keys.to_string())
        })
        .await;
        let authenticator = JwtAuthenticator::jwks_url(&url).unwrap();
        let tokens: Vec<_> = (0..20).map(|_| rsa_token("one")).collect();
        for result in
            futures_util::future::join_all(tokens.iter().map(|token| ask(&authenticator, token))).await
        {
            assert_eq!(result.unwrap().subject(), "usr_7");
        }
        assert_eq!(requests.load(Ordering::Relaxed), 1, "one fetch for all");
        assert!(
            rejected(&authenticator, &rsa_token("new")).await.contains("unknown key"),
            "too soon for another fetch"
        );
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(11)).await;
        tokio::time::resume();
        assert!(ask(&authenticator, &rsa_token("new")).await.is_ok());
        for made_up in ["a", "b", "c"] {
            rejected(&authenticator, &rsa_token(made_up)).await;
        }
        assert_eq!(requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn cached_keys_are_used_while_fetching_fails() {
        let (url, _) = server(|request| {
            if request == 0 {
                ok(&key_set().to_string())
            } else {
                "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
        })
        .await;
        let authenticator = JwtAuthenticator::jwks_url(&url).unwrap();
        let token = rsa_token("one");
        assert!(ask(&authenticator, &token).await.is_ok());
        for (hours, is_good) in [(2, true), (24, false)] {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(hours * 3_600)).await;
            tokio::time::resume();
            assert_eq!(ask(&authenticator, &token).await.is_ok(), is_good, "after {hours} h more");
        }
    }

    /// Starts a key server that counts requests and waits for a permit before each response.
    async fn slow_server() -> (String, Arc<AtomicUsize>, Arc<Semaphore>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (requests, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, permits) = (Arc::clone(&requests), Arc::clone(&gate));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let permits = Arc::clone(&permits);
                tokio::spawn(async move {
                    permits.acquire().await.unwrap().forget();
                    let _ = stream.write_all(ok(&key_set().to_string()).as_bytes()).await;
                });
            }
        });
        (url, requests, gate)
    }

    #[tokio::test]
    async fn calls_do_not_wait_for_a_server_that_failed_before() {
        let (url, requests, gate) = slow_server().await;
        let authenticator = JwtAuthenticator::jwks_url(&url).unwrap();
        gate.add_permits(1);
        let token = rsa_token("one");
        assert!(ask(&authenticator, &token).await.is_ok());

        // From here on the server does not respond, and the paused clock advances only while something waits.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
        for (round, waited) in [("the first fetch ends", 10), ("no call waits", 0), ("no call waits", 0)] {
            let started = tokio::time::Instant::now();
            let calls = (0..5).map(|_| ask(&authenticator, &token));
            for result in futures_util::future::join_all(calls).await {
                assert_eq!(result.unwrap().subject(), "usr_7", "the old keys are good");
            }
            assert_eq!(started.elapsed().as_secs(), waited, "{round}");
            tokio::time::advance(Duration::from_secs(11)).await;
        }
        while requests.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_cancelled_call_does_not_cancel_the_fetch() {
        let (url, requests, gate) = slow_server().await;
        let authenticator = Arc::new(JwtAuthenticator::jwks_url(&url).unwrap());
        let asking = {
            let authenticator = Arc::clone(&authenticator);
            tokio::spawn(async move { ask(&authenticator, &rsa_token("one")).await })
        };
        while requests.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        gate.add_permits(1);
        assert_eq!(ask(&authenticator, &rsa_token("one")).await.unwrap().subject(), "usr_7");
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_server_without_keys_makes_authentication_unavailable() {
        for answer in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
            ok("<html>"),
            ok(r#"{"keys":[]}"#),
            "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_owned(),
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        ] {
            let (url, _) = server(move |_| answer.clone()).await;
            let authenticator = JwtAuthenticator::jwks_url(&url).unwrap();
            let result = ask(&authenticator, &rsa_token("one")).await.unwrap_err();
            assert!(result.starts_with("Unavailable"), "{result}");
        }
        let nobody = JwtAuthenticator::jwks_url("http://127.0.0.1:1/").unwrap();
        assert!(ask(&nobody, &rsa_token("one")).await.unwrap_err().starts_with("Unavailable"));
        for url in ["ftp://x", "http://10.0.0.1/jwks", "https://user:s3cret@x/"] {
            let error = JwtAuthenticator::jwks_url(url).unwrap_err().to_string();
            assert!(error.starts_with("the URL of the keys ") && !error.contains("s3cret"), "{error}");
        }
        assert!(JwtAuthenticator::jwks_url("https://x").unwrap().algorithms([JwtAlgorithm::HS256]).is_err());
    }
}
