//! The endpoint for session tokens, behind a shared secret or the backend's own login.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platools_dev::DevPlatform;
use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpListener;

use crate::backend::{Backend, client, json_answer};
use crate::sidecar::{Folder, GUARD, Running, entity, problems};

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn ask(address: SocketAddr, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = client().post(format!("http://{address}/api/platos-session"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The section of the file.
fn section(address: SocketAddr, who: &str) -> String {
    format!(
        "[session_tokens]\nlisten = \"{address}\"\norganization_id = \"org_1\"\nproject_id = \"proj_1\"\n\
         environment_id = \"env_1\"\n{who}\n"
    )
}

#[tokio::test]
async fn tokens_are_handed_to_who_knows_the_secret_or_is_logged_in() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let login = Backend::start(|came| match came.headers.get("cookie").map(String::as_str) {
        Some("session=4f1b") => Some(json_answer(200, &json!({"user_id": "usr_7"}))),
        Some("session=broken") => Some(json_answer(500, &json!("s3cret"))),
        _ => Some(json_answer(401, &json!({}))),
    })
    .await;
    let (shared, logged_in) = (free_address().await, free_address().await);
    let mut running = Vec::new();
    let folder = Folder::new();
    for (index, (address, who)) in [
        (shared, "shared_secret = \"a-secret-of-two-servers\"".to_owned()),
        (logged_in, format!("login_url = \"{}/me\"", login.url)),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("{}{}", entity(&platform, "orders"), section(address, &who));
        let file = folder.write(&format!("{index}.toml"), text);
        let sidecar = Running::start(&file, &folder, &[]);
        sidecar.says("listening for session_tokens").await;
        running.push(sidecar);
    }
    let user = ("x-platos-user-id", "usr_7");
    let (status, body) = ask(shared, &[("authorization", "Bearer a-secret-of-two-servers"), user]).await;
    assert_eq!(status, 200, "{body}");
    let token: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(token.to_string().contains("eyJ"), "{token}");
    for headers in [
        &[("authorization", "Bearer another-secret"), user][..],
        &[user],
        &[("authorization", "Bearer a-secret-of-two-servers")],
    ] {
        assert_eq!(ask(shared, headers).await.0, 401, "{headers:?}");
    }
    let twice = [("authorization", "Bearer a-secret-of-two-servers"), user, ("x-platos-user-id", "usr_8")];
    let (status, body) = ask(shared, &twice).await;
    assert!(status == 400 && body.contains("ambiguous_header"), "{status} {body}");
    assert_eq!(ask(logged_in, &[("cookie", "session=4f1b")]).await.0, 200);
    assert_eq!(ask(logged_in, &[("cookie", "session=other"), user]).await.0, 401);
    let (status, body) = ask(logged_in, &[("cookie", "session=broken")]).await;
    assert_eq!(status, 500);
    assert!(!body.contains("s3cret"), "{body}");
}

#[tokio::test]
async fn users_are_counted_apart_whatever_address_they_come_from() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let login = Backend::start(|came| {
        let user = came.headers.get("authorization")?.strip_prefix("Bearer ")?.to_owned();
        Some(json_answer(200, &json!({"user_id": user})))
    })
    .await;
    let (shared, logged_in) = (free_address().await, free_address().await);
    let folder = Folder::new();
    let start = |address, name: &str, who: &str| {
        let text = format!("{}{}", entity(&platform, "orders"), section(address, who));
        Running::start(&folder.write(name, text), &folder, &[])
    };
    let sidecar = start(
        shared,
        "shared.toml",
        "shared_secret = \"a-secret-of-two-servers\"\nper_user = \"2/h\"\nper_address = \"3/h\"",
    );
    sidecar.says("listening for session_tokens").await;
    let secret = ("authorization", "Bearer a-secret-of-two-servers");
    for user in 0..300 {
        let (status, body) = ask(shared, &[secret, ("x-platos-user-id", &format!("usr_{user}"))]).await;
        assert_eq!(status, 200, "{user}: {body}");
    }
    for expected in [401, 401, 401, 429] {
        let guess = ("authorization", "Bearer another-secret-of-two");
        assert_eq!(ask(shared, &[guess, ("x-platos-user-id", "usr_7")]).await.0, expected);
    }
    let user = ("x-platos-user-id", "usr_7");
    assert_eq!((ask(shared, &[secret, user]).await.0, ask(shared, &[secret, user]).await.0), (200, 429));
    assert_eq!(sidecar.stop().await, Some(0));

    let who = format!(
        "login_url = \"{}/me\"\nper_address = \"2/h\"\ntrusted_proxies = [\"127.0.0.0/8\"]",
        login.url
    );
    let sidecar = start(logged_in, "login.toml", &who);
    sidecar.says("listening for session_tokens").await;
    for (came_from, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("6.6.6.6, 192.0.2.1", 429),
        ("192.0.2.2", 200),
    ] {
        let headers = [("authorization", "Bearer usr_7"), ("x-forwarded-for", came_from)];
        assert_eq!(ask(logged_in, &headers).await.0, expected, "{came_from}");
    }
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn other_rules_another_secret_and_another_address_are_taken_over_while_it_runs() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let (first, second) = (free_address().await, free_address().await);
    let folder = Folder::new();
    folder.write("shared", "a-secret-of-two-servers");
    let head = entity(&platform, "orders");
    let text = |address, more: &str| {
        format!("{head}{}", section(address, &format!("shared_secret = \"file:shared\"\n{more}")))
    };
    let file = folder.write("platools.toml", text(first, ""));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("listening for session_tokens").await;
    let user = ("x-platos-user-id", "usr_7");
    let (old, new) = (
        ("authorization", "Bearer a-secret-of-two-servers"),
        ("authorization", "Bearer another-secret-of-them"),
    );
    assert_eq!(ask(first, &[old, user]).await.0, 200);

    // The rotated secret is noticed by itself.
    folder.write("shared", "another-secret-of-them");
    sidecar.says("session tokens are handed out as the file says now").await;
    assert_eq!((ask(first, &[old, user]).await.0, ask(first, &[new, user]).await.0), (401, 200));

    folder.write("platools.toml", text(first, "path = \"/elsewhere\""));
    sidecar.signal(Signal::HUP);
    sidecar.says_times("session tokens are handed out as the file says now", 2).await;
    assert_eq!(ask(first, &[new, user]).await.0, 404);

    folder.write("platools.toml", text(second, ""));
    sidecar.signal(Signal::HUP);
    sidecar.says_times("listening for session_tokens", 2).await;
    assert_eq!(ask(second, &[new, user]).await.0, 200);
    let gone = async {
        while TcpListener::bind(first).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, gone).await.expect("the old address is free again");

    // An address that cannot be had leaves everything as it was, also the level of the log.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let level = "[log]\nlevel = \"error\"\n";
    let text_taken = text(taken.local_addr().unwrap(), "");
    folder.write("platools.toml", format!("{text_taken}{level}"));
    sidecar.signal(Signal::HUP);
    sidecar.says("the file is not used, everything stays as it was").await;
    assert!(sidecar.log().contains("`session_tokens` cannot listen on"), "{}", sidecar.log());
    assert_eq!(ask(second, &[new, user]).await.0, 200);

    folder.write("platools.toml", &head);
    sidecar.signal(Signal::HUP);
    sidecar.says("session tokens are no longer handed out").await;
    assert_eq!(sidecar.stop().await, Some(0));
}

/// What the platform's mint answers: a token that only the platform can verify, as its framework sends it.
async fn platform_mint() -> Backend {
    Backend::start(|came| {
        if came.headers.get("authorization").is_none_or(|key| key != "Bearer plt_ent_0123456789abcdef") {
            return Some(json_answer(401, &json!({"error": "Invalid entity bearer"})));
        }
        let asked: serde_json::Value = serde_json::from_str(&came.body).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims =
            json!({"iss": "platos-platform", "userId": asked["userId"], "iat": now, "exp": now + 600});
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token =
            format!("{}.{}.{}", part(r#"{"alg":"ES256"}"#), part(&claims.to_string()), part("signed"));
        Some(json_answer(201, &json!({"token": token, "expiresAt": now + 600})))
    })
    .await
}

#[tokio::test]
async fn the_platform_signs_where_there_is_a_key_for_its_mint() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let (mint, address, folder) = (platform_mint().await, free_address().await, Folder::new());
    folder.write("bearer", "plt_ent_0123456789abcdef\n");
    let shared = "shared_secret = \"a-secret-of-two-servers\"\n";
    let keys = format!("{shared}mint_url = \"{}\"\nmint_bearer = \"file:bearer\"", mint.url);
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", section(address, &keys)));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("listening for session_tokens").await;
    let headers = [("authorization", "Bearer a-secret-of-two-servers"), ("x-platos-user-id", "usr_7")];
    let (status, body) = ask(address, &headers).await;
    assert!(status == 200 && body.contains("eyJ"), "{status} {body} {}", sidecar.log());
    assert_eq!(mint.came()[0].target, "/api/v1/entities/orders/session-tokens");
    assert!(!sidecar.log().contains("plt_ent_"), "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));

    for (keys, part) in [
        ("mint_url = \"https://h\"", "add `mint_bearer`"),
        ("mint_bearer = \"env:HOME\"", "add `mint_url`"),
        ("mint_url = \"https://h\"\nmint_bearer = \"env:PATH\"", "does not start with `plt_ent_`"),
    ] {
        let found = problems(&format!("{head}{}", section(address, &format!("{shared}{keys}")))).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{part} in {found:?}");
    }
}
