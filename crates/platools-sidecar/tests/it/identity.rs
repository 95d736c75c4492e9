//! What a backend is told about the caller, and how it checks that a sidecar said so.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use platools::CallContext;
use serde_json::json;
use sha2::Sha256;

use crate::backend::{Backend, Came};
use crate::sidecar::{call_as, local};

const KEY: &str = "a-key-of-the-sidecar-alone";

/// What a backend does, written from the documentation and not from the sidecar.
pub(crate) fn verifies(came: &Came, key: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let mut add = |text: &str| mac.update(text.as_bytes());
    add(&format!("{}.{}.", came.headers["x-platos-timestamp"], came.headers["x-platos-nonce"]));
    add(&format!("{} {}\n", came.method, came.target));
    let unsigned = ["x-platos-timestamp", "x-platos-nonce", "x-platos-signature"];
    for (name, value) in &came.headers {
        if name.starts_with("x-platos-") && !unsigned.contains(&name.as_str()) {
            add(&format!("{name}: {value}\n"));
        }
    }
    add(&format!("\n{}", came.body));
    let mut expected = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(expected, "{byte:02x}");
    }
    came.headers["x-platos-signature"] == expected
}

#[tokio::test]
async fn the_caller_is_forwarded_and_signed_for() {
    let backend = Backend::echo().await;
    let text = format!(
        "[backend.b]\nurl = \"{}/api\"\nforward = [\"user_id\", \"call_id\", \"agent_id\", \"traceparent\", \"user_token\"]\n\
         sign = \"{KEY}\"\n[[tool.http]]\nname = \"t\"\nbackend = \"b\"\nmethod = \"POST\"\nurl = \"/orders/{{id}}?a=1\"\n\
         arguments.id = {{ type = \"string\" }}\narguments.sku = {{ type = \"string\" }}\n",
        backend.url
    );
    let host = local(&text).await;
    let context = CallContext::builder()
        .user_id("usr_7")
        .user_token("the-users-token")
        .call_id("call_1")
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .build();
    call_as(&host, "t", json!({"id": "a b", "sku": "é"}), context).await.unwrap();
    let mut came = backend.came().remove(0);
    assert_eq!(came.target, "/api/orders/a%20b?a=1");
    assert_eq!(came.headers["x-platos-user-id"], "usr_7");
    assert_eq!(came.headers["x-platos-call-id"], "call_1");
    assert_eq!(came.headers["authorization"], "Bearer the-users-token");
    assert!(came.headers["traceparent"].starts_with("00-0af7"));
    assert!(verifies(&came, KEY));
    assert!(!verifies(&came, "another-key-of-somebody"));
    came.headers.insert("x-platos-user-id".to_owned(), "root".to_owned());
    assert!(!verifies(&came, KEY), "the user is part of what is signed");
}

#[tokio::test]
async fn nothing_is_told_that_the_file_does_not_name_and_nothing_that_no_header_carries() {
    let backend = Backend::echo().await;
    let text = |forward: &str| format!("[[tool.http]]\nname = \"t\"\nurl = \"{}\"\n{forward}\n", backend.url);
    let context = |user: &str| CallContext::builder().user_id(user).user_token("s3cret").build();
    let host = local(&text("")).await;
    call_as(&host, "t", json!({}), context("usr_7")).await.unwrap();
    let names: Vec<String> = backend.came()[0].headers.keys().cloned().collect();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
    let host = local(&text("forward = [\"user_id\"]")).await;
    let error = call_as(&host, "t", json!({}), context("usr\r\nx-platos-role: admin")).await.unwrap_err();
    assert!(error.starts_with("denied: `user_id` of the caller"), "{error}");
    for around in [" root", "root ", "\troot"] {
        let error = call_as(&host, "t", json!({}), context(around)).await.unwrap_err();
        assert!(error.contains("has spaces around"), "it would arrive as root: {error}");
    }
    assert_eq!(backend.came().len(), 1);
}

#[tokio::test]
async fn what_the_file_says_about_the_caller_is_never_left_out() {
    let backend = Backend::echo().await;
    let http = |keys: &str| {
        format!("[[tool.http]]\nname = \"t\"\nmethod = \"POST\"\nurl = \"{}\"\n{keys}\n", backend.url)
    };
    let command =
        "[[tool.command]]\nname = \"t\"\nprogram = \"echo\"\nargs = [[\"--owner\", \"{call.user_id}\"]]\n";
    for text in [
        http("query.owner = \"{call.user_id}\""),
        http("headers.x-owner = \"{call.user_id}\""),
        http("body.json = { filter = { owner = \"{call.user_id}\" } }"),
        http("body.form = { owner = \"{call.user_id}\" }"),
        command.to_owned(),
    ] {
        let host = local(&text).await;
        let nobody = CallContext::builder().user_id("").build();
        let error = call_as(&host, "t", json!({}), nobody).await.unwrap_err();
        assert_eq!(
            error, "denied: the tool needs `{call.user_id}`, and that is not known of this caller",
            "{text}"
        );
        let somebody = CallContext::builder().user_id("usr_7").build();
        call_as(&host, "t", json!({}), somebody).await.unwrap();
    }
    assert_eq!(backend.came().len(), 4, "nothing is sent for nobody");
}
