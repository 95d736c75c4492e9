//! Tokens that are refused, and fresh ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use platos_client::testing::{CannedAnswer, Greeting, PlatosDouble, Script};
use platos_client::{ConfigError, Error, PlatosClient, RefreshOutcome};
use serde_json::json;

use super::support::{all, hi, short};

const FRESH: &str = "fresh.session.token";

/// A client with an old token, and how often it asked for another.
fn refreshing(platos: &PlatosDouble, token: &'static str) -> (PlatosClient, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let client = platos.builder().session_token("old.session.token").on_token_refresh(move |refused| {
        assert_eq!(refused.current_token(), Some("old.session.token"));
        assert!(matches!(refused.status, Some(401 | 403)), "{refused:?}");
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(token.to_owned())
        }
    });
    (client.build().unwrap(), asked)
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_who_were_refused() {
    let platos = PlatosDouble::start().await.unwrap();
    platos.accept_token(FRESH);
    let (client, asked) = refreshing(&platos, FRESH);
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.agents().list().await.unwrap().len() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 2);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let tokens =
        platos.requests().into_iter().map(|request| request.headers["x-platos-session-token"].clone());
    assert_eq!(tokens.filter(|token| token == FRESH).count(), 20);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_is_the_end_of_it() {
    let platos = PlatosDouble::start().await.unwrap();
    let (client, asked) = refreshing(&platos, FRESH);
    let error = client.agents().list().await.unwrap_err();
    let Error::Auth { response, refresh } = &error else { panic!("{error:?}") };
    assert_eq!((response.status, refresh), (Some(401), &RefreshOutcome::RefusedAgain));
    assert_eq!((asked.load(Ordering::Relaxed), platos.requests().len()), (1, 2));
}

#[tokio::test]
async fn what_comes_of_asking_is_said() {
    let platos = PlatosDouble::start().await.unwrap();
    let (client, _) = refreshing(&platos, "old.session.token");
    let refused = |error: Error| match error {
        Error::Auth { refresh, .. } => (refresh.clone(), refresh.to_string()),
        error => panic!("{error:?}"),
    };
    let (outcome, text) = refused(client.agents().list().await.unwrap_err());
    assert!(outcome == RefreshOutcome::SameToken && text.contains("the same token"), "{text}");

    let client = platos.builder().session_token("old.session.token").build().unwrap();
    let (outcome, text) = refused(client.agents().list().await.unwrap_err());
    assert!(outcome == RefreshOutcome::NotConfigured && text.contains("on_token_refresh"), "{text}");

    let client = platos.builder().session_token("old.session.token");
    let client =
        client.on_token_refresh(|_| async { Err::<String, _>("the login is over") }).build().unwrap();
    let (outcome, text) = refused(client.agents().list().await.unwrap_err());
    assert_eq!(outcome, RefreshOutcome::Failed("the login is over".to_owned()));
    assert!(text.contains("the login is over"), "{text}");

    let client = platos.builder().session_token("old.session.token");
    let client =
        client.on_token_refresh(|_| async { Ok::<_, ConfigError>("s3c\nret".to_owned()) }).build().unwrap();
    let (_, text) = refused(client.agents().list().await.unwrap_err());
    assert!(
        text.contains("the fresh session token contains a line break") && !text.contains("s3c"),
        "{text}"
    );

    let client = platos.builder().session_token("old").timeout(std::time::Duration::from_millis(50));
    let client =
        client.on_token_refresh(|_| std::future::pending::<Result<String, ConfigError>>()).build().unwrap();
    let (_, text) = refused(client.agents().list().await.unwrap_err());
    assert!(text.contains("took longer than 0.05 s"), "{text}");

    let scope = platos_client::Scope::new("o", "p", "e").user("u");
    let client = platos.builder().api_key("another").scope(scope).build().unwrap();
    let (outcome, text) = refused(client.agents().list().await.unwrap_err());
    assert!(outcome == RefreshOutcome::DirectMode && text.contains("API key"), "{text}");
    assert!(text.contains("without a proxy between"), "{text}");
    let (_, error) = all(client.threads().send("thr_1", hi())).await;
    let (outcome, _) = refused(error.unwrap());
    assert_eq!(outcome, RefreshOutcome::DirectMode, "over a socket, too");
    assert_eq!(client.set_session_token("t").unwrap_err(), ConfigError::NotSessionMode);
}

#[tokio::test]
async fn a_client_without_a_token_gets_its_first_one_from_the_callback() {
    let platos = PlatosDouble::start().await.unwrap();
    let token = platos.session_token();
    let client = platos.builder().session_token_from(move |request| {
        assert_eq!((request.current_token(), request.status), (None, None));
        async move { Ok::<_, ConfigError>(token.to_owned()) }
    });
    let client = client.build().unwrap();
    client.agents().list().await.unwrap();
    assert_eq!(platos.requests().len(), 1);
    let never =
        platos.builder().session_token_from(|_| async { Err::<String, _>("no mint") }).build().unwrap();
    let error = never.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Auth { .. }) && error.to_string().contains("no mint"), "{error}");
    let (_, error) = all(never.threads().send("thr_1", hi())).await;
    assert!(matches!(error, Some(Error::Auth { .. })), "{error:?}");
    assert_eq!(platos.requests().len(), 1);
}

#[tokio::test]
async fn a_token_can_be_replaced_by_hand_for_all_clones() {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.builder().session_token("old.session.token").build().unwrap();
    let clone = client.clone();
    client.agents().list().await.unwrap_err();
    client.set_session_token(platos.session_token()).unwrap();
    clone.agents().list().await.unwrap();
}

#[tokio::test]
async fn a_forbidden_request_is_sent_again_with_a_fresh_token_too() {
    let platos = PlatosDouble::start().await.unwrap();
    for token in ["old.session.token", FRESH] {
        platos.accept_token(token);
    }
    let (client, asked) = refreshing(&platos, FRESH);
    platos.answer_next("threads", CannedAnswer::status(403).message("wrong scope"));
    client.threads().create(platos_client::NewThread::with_agent("agt_writer")).await.unwrap();
    assert_eq!((asked.load(Ordering::Relaxed), platos.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_stream_gets_a_fresh_token_wherever_the_old_one_is_refused() {
    for greeting in [
        Greeting::Welcome,
        Greeting::Http(CannedAnswer::status(403).message("expired")),
        Greeting::ConnectError(json!({"message": "Unauthorized", "data": {"status": 401}})),
        Greeting::ConnectError(json!({"message": "jwt expired"})),
        Greeting::ErrorThenDisconnect("Invalid or expired session token.".to_owned()),
    ] {
        let platos = PlatosDouble::start().await.unwrap();
        platos.accept_token(FRESH);
        let (client, asked) = refreshing(&platos, FRESH);
        platos.greet_next(greeting.clone());
        platos.script(Script::new().token("hello").done());
        let (events, error) = all(client.threads().send("thr_1", hi())).await;
        assert!(error.is_none(), "{greeting:?}: {error:?}");
        assert_eq!(short(&events), "connected 'hello' done", "{greeting:?}");
        assert_eq!(platos.messages().len(), 1, "{greeting:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{greeting:?}");
    }
}

#[tokio::test]
async fn a_stream_whose_token_stays_refused_ends_with_what_the_platform_said() {
    for greeting in [
        Greeting::Http(CannedAnswer::status(401).message("token expired")),
        Greeting::ConnectError(json!({"message": "token expired"})),
        Greeting::ErrorThenDisconnect("token expired".to_owned()),
    ] {
        let platos = PlatosDouble::start().await.unwrap();
        platos.greet_next(greeting.clone());
        let (_, error) = all(platos.client().threads().send("thr_1", hi())).await;
        let error = error.unwrap();
        assert!(matches!(&error, Error::Auth { .. }), "{greeting:?}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("token expired") && text.contains("on_token_refresh"), "{greeting:?}: {text}");
        assert_eq!(platos.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_only_an_operator_may_do_is_not_asked_for_again_with_a_fresh_token() {
    let platos = PlatosDouble::start().await.unwrap();
    platos.accept_end_user("old.session.token");
    platos.accept_token(FRESH);
    let (client, asked) = refreshing(&platos, FRESH);
    let refused = |error: Error| {
        let text = error.to_string();
        let Error::Auth { refresh, .. } = error else { panic!("{text}") };
        (refresh, text)
    };
    let (outcome, text) = refused(client.agents().list().await.unwrap_err());
    assert_eq!((outcome, asked.load(Ordering::Relaxed)), (RefreshOutcome::NeedsOperator, 0));
    assert!(text.contains("an operator's token"), "{text}");
    let other = CannedAnswer::status(403).json(&json!({"error": "AGENT_SCOPE_MISMATCH", "message": "no"}));
    platos.answer_next("threads", other);
    let error = client.threads().get("thr_1").await.unwrap_err();
    assert_eq!(error.code(), Some(platos_client::codes::AGENT_SCOPE_MISMATCH));
    let (outcome, _) = refused(error);
    assert_eq!(
        (outcome, asked.load(Ordering::Relaxed), platos.requests().len()),
        (RefreshOutcome::OtherAgent, 0, 2)
    );
}
