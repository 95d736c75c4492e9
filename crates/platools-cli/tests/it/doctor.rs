//! `doctor`.

use serde_json::{Value, json};

use crate::support::{Dev, run};

fn found<'a>(report: &'a Value, what: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("no {what} in {report}"))
}

#[tokio::test]
async fn all_that_is_missing_is_said_at_once() {
    let ran = run(&["doctor"], &[]).await;
    assert_eq!(ran.code, 2);
    for part in ["✗ URL", "set PLATOS_URL", "✗ secret", "set PLATOS_SECRET or PLATOS_SECRET_FILE"] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert!(!ran.out.contains("call `"), "who runs this program has no code to change: {ran:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["doctor", "--json", "--url", &format!("ws://{nobody}/tools/sync")], &[]).await;
    assert_eq!((ran.code, &ran.json()["ok"]), (2, &json!(false)));
    for (what, part) in
        [("entity", "PLATOS_ENTITY"), ("connection", "cannot connect"), ("secret", "PLATOS_SECRET")]
    {
        assert!(found(&ran.json(), what)["problem"].as_str().unwrap().contains(part), "{ran:?}");
    }
    let ran = run(&["doctor"], &[("PLATOS_SECRET_FILE", "/no/such")]).await;
    assert!(ran.code == 2 && ran.out.contains("/no/such"), "{ran:?}");
    let url = format!("ws://{nobody}/tools/sync?entity=local");
    let ran = run(&["doctor"], &[("PLATOS_URL", &url), ("PLATOS_SECRET", "some-secret-or-other")]).await;
    assert_eq!(ran.code, 1, "it is configured, and the platform is away: {ran:?}");
}

#[tokio::test]
async fn a_callback_is_shown_and_held_against_the_rules_of_the_platform() {
    let dev = Dev::start(&[]).await;
    let (url, secret) = dev.entity("local");
    let with = |callback: &'static str| {
        let variables = [("PLATOS_URL", url.clone()), ("PLATOS_SECRET", secret.clone())];
        async move {
            let [(u, url), (s, secret)] = &variables;
            let variables = [(*u, url.as_str()), (*s, secret), ("PLATOS_CALLBACK_URL", callback)];
            run(&["doctor", "--json"], &variables).await
        }
    };
    let ran = with("https://10.0.0.1/calls?key=s3cret").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = found(&ran.json(), "callback")["found"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("https://10.0.0.1/calls?… – ") && shown.contains("not public"), "{shown}");
    assert!(!ran.out.contains("s3cret"), "{ran:?}");
    let ran = with("http://127.0.0.1:8080/").await;
    assert_eq!(ran.code, 2);
    let problem = found(&ran.json(), "callback")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("is not encrypted") && problem.contains("PLATOS_ALLOW_INSECURE=1"), "{problem}");
    dev.stop().await;
}

#[tokio::test]
async fn the_secret_is_tried_only_if_asked_for() {
    let dev = Dev::start(&[]).await;
    let (url, secret) = dev.entity("local");
    let wrong = "wrong-secret-0123456789";
    let ran = run(&["doctor"], &[("PLATOS_URL", &url), ("PLATOS_SECRET", wrong)]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.errors.contains("the secret was not sent; --authenticate does"));
    assert!(!ran.out.contains(wrong));

    let ran = run(&["doctor", "--authenticate"], &[("PLATOS_URL", &url), ("PLATOS_SECRET", wrong)]).await;
    assert_eq!(ran.code, 1);
    for part in ["✗ welcome", "the entity's page shows", "another environment (PLATOS_ENV", "of kind `mcp`"]
    {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }

    let variables = [("PLATOS_URL", &*url), ("PLATOS_SECRET", &*secret)];
    let ran = run(&["doctor", "--authenticate", "--json"], &variables).await;
    assert_eq!((ran.code, &ran.json()["ok"]), (0, &json!(true)), "{ran:?}");
    assert_eq!(found(&ran.json(), "welcome")["found"], "as entity local in environment env_dev");
    assert!(!ran.out.contains(&secret));
    dev.stop().await;
}
