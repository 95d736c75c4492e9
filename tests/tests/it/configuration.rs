//! Configuration mistakes: each a clear message and a failure, never a hang.

use super::support::{Folder, conformance_host, finished};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const URL: &str = "ws://127.0.0.1:9/tools/sync?entity=orders";

async fn refused(variables: &[(&str, &str)]) -> String {
    let (succeeded, written) = finished(conformance_host(variables)).await;
    assert!(!succeeded, "{variables:?}: {written}");
    assert_eq!(written.matches("Error: ").count(), 1, "{written}");
    assert!(!written.contains(SECRET) && !written.contains("panicked"), "{written}");
    written
}

#[tokio::test]
async fn each_mistake_is_named() {
    let folder = Folder::new("configuration");
    let empty = folder.file("empty", "\n");
    let short = folder.file("short", "tooshort");
    let missing = format!("{empty}-that-is-not-there");
    let certificates = folder.file("ca.pem", "hello");
    for (variables, expected) in [
        (&[][..], &["PLATOS_URL"][..]),
        (&[("PLATOS_URL", "")], &["PLATOS_URL"]),
        (&[("PLATOS_URL", "not a url"), ("PLATOS_SECRET", SECRET)], &["PLATOS_URL", "wss://"]),
        (&[("PLATOS_URL", "ftp://example.com"), ("PLATOS_SECRET", SECRET)], &["PLATOS_URL", "wss://"]),
        (
            &[("PLATOS_URL", "wss://user:pass@example.com"), ("PLATOS_SECRET", SECRET)],
            &["user name or password"],
        ),
        (
            &[("PLATOS_URL", "ws://platos.example"), ("PLATOS_SECRET", SECRET)],
            &["PLATOS_ALLOW_INSECURE", "wss://"],
        ),
        (&[("PLATOS_URL", URL)], &["PLATOS_SECRET"]),
        (&[("PLATOS_URL", URL), ("PLATOS_SECRET", "")], &["PLATOS_SECRET"]),
        (&[("PLATOS_URL", URL), ("PLATOS_SECRET", "fifteen_letters")], &["at least 16"]),
        (&[("PLATOS_URL", URL), ("PLATOS_SECRET_FILE", &missing)], &[&missing]),
        (&[("PLATOS_URL", URL), ("PLATOS_SECRET_FILE", &empty)], &[&empty, "empty"]),
        (&[("PLATOS_URL", URL), ("PLATOS_SECRET_FILE", &short)], &[&short, "at least 16"]),
        (
            &[("PLATOS_URL", URL), ("PLATOS_SECRET", SECRET), ("PLATOOLS_HEARTBEAT_INTERVAL", "often")],
            &["often", "30s"],
        ),
        (
            &[
                ("PLATOS_URL", "wss://127.0.0.1:9"),
                ("PLATOS_SECRET", SECRET),
                ("PLATOS_CA_FILE", &certificates),
            ],
            &["PLATOS_CA_FILE", "no certificate"],
        ),
    ] {
        let written = refused(variables).await;
        for part in expected {
            assert!(written.contains(part), "{variables:?} should name {part}: {written}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_ends_the_process() {
    let platform = platools_dev::DevPlatform::start().await.unwrap();
    let url = platform.url();
    let written = refused(&[("PLATOS_URL", &url), ("PLATOS_SECRET", SECRET)]).await;
    let words = "refused the service secret in environment variable `PLATOS_SECRET` for entity `local`";
    assert!(written.contains(words), "{written}");
}
