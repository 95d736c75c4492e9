//! How members prove to a real NATS server who they are, and what they say when it does not let them in.

use std::fmt::Write as _;

use nkeys::KeyPair;
use platools_dev::DevPlatform;
use platools_fleet::Fleet;
use serde_json::{Value, json};
use tests::nats::Nats;

use super::fleet::{Member, fleet, nats_with};
use super::support::{Folder, Running, answer, builder, until};
use super::tls::certificates;

/// A server with this configuration, beside what all tests need.
fn nats(folder: &Folder, configuration: &str) -> Option<Nats> {
    let file = folder.file("nats.conf", configuration);
    nats_with(&["--config", &file])
}

/// A member gets in, and its tools are called.
async fn gets_in(platform: &DevPlatform, fleet: Fleet) {
    let member = Member::with(platform, fleet, |host| host).await;
    platform.wait_for_tool("where").await.unwrap();
    assert_eq!(answer(platform, "where", json!({})).await, "a");
    member.stop().await;
}

/// A host does not start, and says this.
async fn stays_out(platform: &DevPlatform, fleet: Fleet) -> String {
    let host = builder(platform).coordinator(fleet).build().unwrap();
    let failed = Running::start(host).ended().await.unwrap_err().to_string();
    assert!(failed.contains("NATS server of the fleet") && failed.contains("PLATOOLS_FLEET"), "{failed}");
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_lets_a_member_in_and_a_wrong_one_is_an_error_without_it() {
    let Some(nats) = nats_with(&["--auth", "s3cr3t-token"]) else { return };
    let folder = Folder::new("fleet-token");
    let platform = DevPlatform::start().await.unwrap();
    let with = |file: String| fleet(&nats.url(), "a").with_token_file(file);
    gets_in(&platform, with(folder.file("right", "s3cr3t-token\n"))).await;
    let refused = stays_out(&platform, with(folder.file("wrong", "guessed-token"))).await;
    assert!(!refused.contains("guessed") && refused.contains("credentials"), "{refused}");
    stays_out(&platform, fleet(&nats.url(), "a")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_lets_a_member_in_and_another_one_does_not() {
    let folder = Folder::new("fleet-nkey");
    let (right, wrong) = (KeyPair::new_user(), KeyPair::new_user());
    // The rights that the documentation names.
    let users = format!(
        "authorization {{ users: [ {{ nkey: {}, permissions: {{ publish: [\"platools.>\", \"$JS.API.>\", \"$KV.>\"], \
         subscribe: [\"platools.>\", \"_INBOX.>\"] }} }} ] }}",
        right.public_key()
    );
    let Some(nats) = nats(&folder, &users) else { return };
    let platform = DevPlatform::start().await.unwrap();
    let with = |file: String| fleet(&nats.url(), "a").with_nkey_file(file);
    let seed = right.seed().unwrap();
    gets_in(&platform, with(folder.file("right", &format!("{seed}\n")))).await;
    let seed = wrong.seed().unwrap();
    let refused = stays_out(&platform, with(folder.file("wrong", &seed))).await;
    assert!(!refused.contains(&seed), "{refused}");
}

/// A JSON Web Token as NATS has them.
fn token(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let head = encode(json!({"typ": "JWT", "alg": "ed25519-nkey"}).to_string().as_bytes());
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": name,
        "nats": nats,
    });
    let text = format!("{head}.{}", encode(claims.to_string().as_bytes()));
    let signature = encode(&issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_lets_a_member_in_and_one_of_another_account_does_not() {
    let folder = Folder::new("fleet-creds");
    let (operator, system, account) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = json!({"limits": limits, "type": "account", "version": 2});
    let no_jetstream = json!({
        "limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1},
        "type": "account", "version": 2,
    });
    let mut configuration = String::new();
    let of_operator = token(&operator, &operator, "operator", &json!({"type": "operator", "version": 2}));
    let _ = write!(
        configuration,
        "operator: {of_operator}\nresolver: MEMORY\nsystem_account: {}\nresolver_preload: {{ {}: {}, {}: {} }}\n",
        system.public_key(),
        system.public_key(),
        token(&operator, &system, "system", &no_jetstream),
        account.public_key(),
        token(&operator, &account, "account", &of_account),
    );
    let Some(nats) = nats(&folder, &configuration) else { return };
    let platform = DevPlatform::start().await.unwrap();
    let credentials = |account: &KeyPair| {
        let user = KeyPair::new_user();
        let rights = json!({"subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2});
        let token = token(account, &user, "user", &rights);
        let seed = user.seed().unwrap();
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    };
    let with = |file: String| fleet(&nats.url(), "a").with_credentials_file(file);
    gets_in(&platform, with(folder.file("right.creds", &credentials(&account)))).await;
    let unknown = credentials(&KeyPair::new_account());
    stays_out(&platform, with(folder.file("wrong.creds", &unknown))).await;
    let broken = Running::start(
        builder(&platform).coordinator(with(folder.file("broken.creds", "nothing"))).build().unwrap(),
    );
    let broken = broken.ended().await.unwrap_err().to_string();
    assert!(broken.contains("PLATOOLS_FLEET_CREDS") && broken.contains("broken.creds"), "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_needs_a_trusted_certificate() {
    let folder = Folder::new("fleet-tls");
    let (authority, certificate, key) = certificates("127.0.0.1");
    let trusted = folder.file("ca.pem", &authority);
    let (certificate, key) = (folder.file("nats.pem", &certificate), folder.file("nats.key", &key));
    let Some(nats) = nats_with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]) else { return };
    let platform = DevPlatform::start().await.unwrap();
    let url = format!("tls://{}", nats.address());
    gets_in(&platform, fleet(&url, "a").with_ca_file(&trusted)).await;
    stays_out(&platform, fleet(&url, "a")).await;
    let (other, ..) = certificates("127.0.0.1");
    stays_out(&platform, fleet(&url, "a").with_ca_file(folder.file("other.pem", &other))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stores_nothing_is_an_error_with_the_fix() {
    let folder = Folder::new("fleet-no-jetstream");
    // The account of the members has no JetStream.
    let accounts = "accounts { A: { users: [ { user: a, password: b } ] } }\nno_auth_user: a\n";
    let Some(nats) = nats(&folder, accounts) else { return };
    let platform = DevPlatform::start().await.unwrap();
    let host = builder(&platform).coordinator(fleet(&nats.url(), "a")).build().unwrap();
    let failed = Running::start(host).ended().await.unwrap_err().to_string();
    assert!(failed.contains("keeps no state") && failed.contains("--jetstream"), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_follow_a_rotated_secret() {
    let Some(nats) = nats_with(&[]) else { return };
    let folder = Folder::new("fleet-rotation");
    let platform = DevPlatform::start().await.unwrap();
    let file = folder.file("secret", platform.secret().expose());
    let member = |name: &str| {
        let source = platools::SecretSource::file(&file);
        Member::with(&platform, fleet(&nats.url(), name), |host| host.secret_source(source))
    };
    let first = member("a").await;
    platform.wait_for_tool("where").await.unwrap();
    let second = member("b").await;
    first.knows(2).await;
    let connected = platform.counters().connected;
    let secret = platools::verify::Secret::new("a secret that was rotated, 0123456789").unwrap();
    folder.file("secret", secret.expose());
    platform.faults().rotate_secret_to(secret);
    until(|| platform.counters().connected > connected && platform.is_connected()).await;
    first.knows(2).await;
    let mut ran = std::collections::HashSet::new();
    while ran.len() < 2 {
        let calls = (0..10).map(|_| answer(&platform, "where", json!({})));
        ran.extend(futures_util::future::join_all(calls).await.iter().map(ToString::to_string));
    }
    for member in [second, first] {
        member.stop().await;
    }
}

/// Calls until all these members have run one.
async fn run_at(platform: &DevPlatform, members: &[&str]) {
    let mut ran = std::collections::HashSet::new();
    while !members.iter().all(|member| ran.contains(*member)) {
        let calls = (0..10).map(|_| answer(platform, "where", json!({})));
        let names = futures_util::future::join_all(calls).await;
        ran.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_may_reach_members_at_different_times() {
    let Some(nats) = nats_with(&[]) else { return };
    let folder = Folder::new("fleet-rotation-by-and-by");
    let platform = DevPlatform::start().await.unwrap();
    let member = |name: &'static str| {
        let source = platools::SecretSource::file(folder.path(name));
        Member::with(&platform, fleet(&nats.url(), name), |host| host.secret_source(source))
    };
    for name in ["a", "b"] {
        folder.file(name, platform.secret().expose());
    }
    let first = member("a").await;
    platform.wait_for_tool("where").await.unwrap();
    let second = member("b").await;
    first.knows(2).await;
    let connected = platform.counters().connected;
    let secret = platools::verify::Secret::new("a secret that was rotated, 0123456789").unwrap();
    folder.file("a", secret.expose());
    folder.file("c", secret.expose());
    platform.faults().rotate_secret_to(secret.clone());
    until(|| platform.counters().connected > connected && platform.is_connected()).await;
    // One has both, one only the old one, and one only the new one.
    let third = member("c").await;
    first.knows(3).await;
    run_at(&platform, &["a", "b", "c"]).await;
    folder.file("b", secret.expose());
    for member in [first, second, third] {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_with_a_new_secret_take_over_from_those_that_never_hear_of_it() {
    let Some(nats) = nats_with(&[]) else { return };
    let platform = DevPlatform::start().await.unwrap();
    let first = Member::with(&platform, fleet(&nats.url(), "a"), |host| host).await;
    platform.wait_for_tool("where").await.unwrap();
    let second = Member::with(&platform, fleet(&nats.url(), "b"), |host| host).await;
    first.knows(2).await;
    let secret = platools::verify::Secret::new("a secret that was rotated, 0123456789").unwrap();
    platform.faults().rotate_secret_to(secret);
    let third = Member::with(&platform, fleet(&nats.url(), "c"), |host| host).await;
    third.knows(1).await;
    // It has the lease before it has the connection.
    until(|| platform.is_connected()).await;
    run_at(&platform, &["c"]).await;
    for member in [first, second, third] {
        member.stop().await;
    }
}
