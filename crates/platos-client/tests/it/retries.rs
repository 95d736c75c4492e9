//! What is tried again, how often, and what is not.

use std::time::{Duration, Instant};

use platos_client::testing::{CannedAnswer, PlatosDouble};
use platos_client::{
    Decision, Error, NetworkErrorKind, NewSchedule, NewThread, PlatosClient, RawRequest, RetryPolicy,
    TaskOptions, ThreadsQuery,
};
use serde_json::json;

async fn start() -> (PlatosDouble, PlatosClient) {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.client();
    (platos, client)
}

#[tokio::test]
async fn failures_of_the_platform_are_tried_again_and_then_reported() {
    let (platos, client) = start().await;
    for answer in [
        CannedAnswer::status(500),
        CannedAnswer::drop_connection(),
        CannedAnswer::status(503).html("<html>starting</html>"),
    ] {
        platos.answer_next("agents", answer);
    }
    assert_eq!(client.agents().list().await.unwrap().len(), 2);
    assert_eq!(platos.requests().len(), 4);

    for _ in 0..4 {
        platos.answer_next("agents", CannedAnswer::status(502).html("<html>bad gateway</html>"));
    }
    let error = client.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("GET /api/v1/agent/agents: 502: Bad Gateway (a page, not JSON"),
        "{error}"
    );
    assert_eq!(error.body(), Some("<html>bad gateway</html>"));
    assert_eq!(platos.requests().len(), 8);
}

#[tokio::test]
async fn what_the_caller_did_wrong_is_not_tried_again() {
    let (platos, client) = start().await;
    for status in [400, 404, 409, 418, 422, 302] {
        platos.answer_next("threads", CannedAnswer::status(status).message("no"));
        let before = platos.requests().len();
        let error = client.threads().list(ThreadsQuery::new()).await.unwrap_err();
        assert_eq!((error.status(), platos.requests().len()), (Some(status), before + 1), "{error}");
        assert!(!error.is_transient());
    }
    let error = client.threads().create(NewThread::with_agent("agt_nobody")).await.unwrap_err();
    let Error::NotFound(response) = &error else { panic!("{error:?}") };
    assert_eq!((response.status, response.message.as_str()), (Some(404), "Agent not found"));
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_the_platform_says() {
    let (platos, client) = start().await;
    platos.answer_next("agents", CannedAnswer::status(429).message("slow down").header("retry-after", "0.2"));
    let began = Instant::now();
    client.agents().list().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "it came back too early");

    // Longer than anybody wants to wait: that is for the caller to decide.
    platos
        .answer_next("agents", CannedAnswer::status(429).message("slow down").header("retry-after", "3600"));
    let error = client.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited(_)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
    assert!(error.to_string().contains("wait for 3600 s"), "{error}");
    assert_eq!(platos.requests().len(), 3);
    // 5xx may say it too.
    platos.answer_next("agents", CannedAnswer::status(503).header("retry-after", "0.2"));
    let began = Instant::now();
    client.agents().list().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "it came back too early");
}

#[tokio::test]
async fn what_can_be_done_twice_is_tried_again_and_a_creation_only_if_nothing_was_done() {
    let (platos, client) = start().await;
    platos.add("approvals", json!({"id": "apr_1", "status": "pending"}));
    // Done, but nobody hears of it.
    let lost = || CannedAnswer::drop_connection().after_doing_it();
    for part in ["resolve", "jobs/reindex"] {
        platos.answer_next(part, lost());
        platos.answer_next(part, CannedAnswer::status(502).after_doing_it());
    }
    let resolved = client.approvals().resolve("apr_1", Decision::approve()).await.unwrap();
    assert_eq!(resolved.approved, Some(true), "the second time is answered with what was decided");
    client.bgo().schedules().create(NewSchedule::new("reindex", "* * * * *")).await.unwrap();
    assert_eq!(client.bgo().schedules().list().await.unwrap().len(), 1);

    // No platform knows a key for a creation: a second one would be another thread.
    let threads = client.threads();
    let create = || threads.create(NewThread::with_agent("agt_writer"));
    platos.answer_next("threads", CannedAnswer::status(429).header("retry-after", "0"));
    create().await.unwrap();
    for failing in [lost(), CannedAnswer::status(502).after_doing_it()] {
        platos.answer_next("threads", failing);
        create().await.unwrap_err();
    }
    assert_eq!(client.threads().list(ThreadsQuery::new()).await.unwrap().len(), 3);
    assert!(platos.requests().iter().all(|request| request.header("idempotency-key").is_none()));
    platos.answer_next("dispatch", CannedAnswer::status(502).after_doing_it());
    client.bgo().tasks().trigger("reindex", json!({}), TaskOptions::new()).await.unwrap_err();
    assert_eq!(platos.things("dispatched").len(), 1);
}

#[tokio::test]
async fn a_deletion_whose_answer_got_lost_is_done() {
    let (platos, client) = start().await;
    for lost in [CannedAnswer::drop_connection(), CannedAnswer::status(502)] {
        let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
        platos.answer_next("threads", lost.after_doing_it());
        client.threads().delete(&thread.id).await.unwrap();
    }
    // Where no earlier attempt can have done it, there is no such thing.
    for answer in [CannedAnswer::status(404), CannedAnswer::status(429).header("retry-after", "0")] {
        platos.answer_next("threads", answer);
        assert!(matches!(client.threads().delete("thr_0").await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn a_raw_post_without_a_key_is_sent_once() {
    let (platos, client) = start().await;
    let request = || RawRequest::post("/api/v1/agent/threads").json(json!({"agentId": "agt_writer"}));
    for answer in [CannedAnswer::status(503), CannedAnswer::drop_connection(), CannedAnswer::status(429)] {
        let before = platos.requests().len();
        platos.answer_next("threads", answer);
        client.raw(request()).await.unwrap_err();
        assert_eq!(platos.requests().len(), before + 1);
    }
    // A limit refuses before anything is done.
    platos.answer_next("threads", CannedAnswer::status(429).header("retry-after", "0"));
    client.raw(request()).await.unwrap();
    platos.answer_next("threads", CannedAnswer::status(503));
    client.raw(request().idempotency_key("k")).await.unwrap();
    assert_eq!(platos.requests().pop().unwrap().header("idempotency-key"), Some("k"));
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_again_for_everything() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let policy = RetryPolicy::default().max_retries(2).first_wait(Duration::from_millis(60)).jitter(0.0);
    let client =
        PlatosClient::builder(format!("http://{address}")).session_token("t").retry(policy).build().unwrap();
    let began = Instant::now();
    let error = client.raw(RawRequest::post("/x").json(json!({}))).await.unwrap_err();
    let Error::Network(network) = &error else { panic!("{error:?}") };
    assert_eq!(network.kind, NetworkErrorKind::Connect);
    assert!(error.to_string().contains("check the base URL"), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(60 + 120), "it was not tried again");
}

#[tokio::test]
async fn an_attempt_takes_no_longer_than_it_may() {
    let platos = PlatosDouble::start().await.unwrap();
    let builder = platos.builder().timeout(Duration::from_millis(80)).retry(RetryPolicy::never());
    let client = builder.session_token(platos.session_token()).build().unwrap();
    platos.answer_next("agents", CannedAnswer::status(200).delay(super::support::GUARD));
    let error = client.agents().list().await.unwrap_err();
    let Error::Network(network) = &error else { panic!("{error:?}") };
    assert_eq!(network.kind, NetworkErrorKind::Timeout);
    assert!(error.to_string().contains("no answer within 0.08 s"), "{error}");
    // Each attempt has the time for itself.
    let client = platos.builder().timeout(Duration::from_millis(500)).session_token(platos.session_token());
    platos.answer_next("agents", CannedAnswer::status(200).delay(super::support::GUARD));
    client.build().unwrap().agents().list().await.unwrap();
}
