//! Turns that need somebody to agree.

use std::sync::{Arc, Mutex};

use platos_client::testing::{CannedAnswer, Script};
use platos_client::{AgentEvent, Approval, ApprovalStatus, Decision, Error, NewThread};
use serde_json::json;

use super::support::{GUARD, conversation};

fn asking(id: &str) -> Script {
    Script::new().token("May I? ").approval(
        id,
        "delete order ord-1042",
        Script::new().token("Done."),
        Script::new().token("Left alone."),
    )
}

/// A decision that no socket can carry.
fn by_request() -> Decision {
    Decision::approve().edited_args(json!({"order_id": "ord-1"}))
}

#[tokio::test]
async fn a_callback_decides_and_the_turn_goes_on() {
    let (platos, client, thread) = conversation().await;
    for (decision, text) in [
        (Decision::approve(), "May I? Done."),
        (Decision::reject().because("it is a gift"), "May I? Left alone."),
    ] {
        let id = format!("apr_{}", decision.is_approval());
        platos.script(asking(&id).done());
        let asked = Arc::new(Mutex::new(Vec::<Approval>::new()));
        let turn = client.threads().send(&thread, "Clean up").run(|approval| {
            asked.lock().unwrap().push(approval);
            let decision = decision.clone();
            async move { decision }
        });
        assert_eq!(turn.await.unwrap().text, text);
        let over_the_socket = platos.emitted("approval_response").last().cloned().unwrap();
        assert_eq!(over_the_socket["approved"], decision.is_approval());
        let asked = asked.lock().unwrap();
        assert_eq!((asked.len(), asked[0].wish()), (1, Some("delete order ord-1042")));
        assert_eq!(asked[0].thread_id.as_ref(), Some(&thread));
    }
    let resolved = client.approvals().get("apr_false").await.unwrap().unwrap();
    assert_eq!(
        (resolved.status, resolved.comment.as_deref()),
        (Some(ApprovalStatus::Rejected), Some("it is a gift"))
    );
}

#[tokio::test]
async fn a_decision_may_take_its_time_while_others_are_made_and_the_turn_goes_on() {
    let (platos, client, thread) = conversation().await;
    let ask = json!({"type": "approval_needed", "approvalId": "apr_slow", "action": "think"});
    platos.script(Script::new().event(ask).token("meanwhile ").event(json!({"type": "done"})));
    platos.add("approvals", json!({"id": "apr_slow", "threadId": thread, "status": "pending"}));
    // The platform did not wait for it, and nobody waits for the one who thinks.
    let turn = client.threads().send(&thread, "Hi").run(|_| std::future::pending());
    assert_eq!(tokio::time::timeout(GUARD, turn).await.unwrap().unwrap().text, "meanwhile ");
}

#[tokio::test]
async fn approvals_of_other_threads_and_resolved_ones_are_left_alone() {
    let (platos, client, thread) = conversation().await;
    let ask = |id| json!({"type": "approval_needed", "approvalId": id, "action": "x"});
    platos.add("approvals", json!({"id": "apr_other", "threadId": "thr_other", "status": "pending"}));
    platos.add("approvals", json!({"id": "apr_done", "threadId": thread, "status": "timed_out"}));
    platos.script(
        Script::new()
            .event(ask("apr_other"))
            .event(ask("apr_done"))
            .token("ok")
            .pause(std::time::Duration::from_millis(200))
            .done(),
    );
    let turn = client
        .threads()
        .send(&thread, "Hi")
        .run(|approval| async move { panic!("asked about {approval:?}") });
    assert_eq!(turn.await.unwrap().text, "ok");
    assert_eq!(
        client.approvals().get("apr_other").await.unwrap().unwrap().status.unwrap().as_str(),
        "pending"
    );
}

#[tokio::test]
async fn a_decision_that_comes_too_late_is_no_error_and_one_that_cannot_be_delivered_is() {
    let (platos, client, thread) = conversation().await;
    platos.script(asking("apr_late").done());
    platos.answer_next("resolve", CannedAnswer::status(409).message("resolved already").after_doing_it());
    let turn = client.threads().send(&thread, "Hi").run(|_| async { by_request() }).await.unwrap();
    assert_eq!(turn.text, "May I? Done.");

    platos.script(asking("apr_never").done());
    for _ in 0..4 {
        platos.answer_next("resolve", CannedAnswer::status(500).message("the database is gone"));
    }
    let turn = client.threads().send(&thread, "Hi").run(|_| async { by_request() });
    let error = turn.await.unwrap_err();
    assert!(
        matches!(error, Error::Server(_)) && error.to_string().contains("the database is gone"),
        "{error}"
    );
}

#[tokio::test]
async fn a_decision_that_the_platform_does_not_take_is_an_error_and_no_endless_wait() {
    for (number, status) in [302, 404, 405, 422].into_iter().enumerate() {
        let (platos, client, thread) = conversation().await;
        platos.script(asking(&format!("apr_{number}")).done());
        platos.answer_next("resolve", CannedAnswer::status(status).message("no"));
        let turn = client.threads().send(&thread, "Hi").run(|_| async { by_request() });
        let error = tokio::time::timeout(GUARD, turn).await.expect("it ends").unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
    }
}

#[tokio::test]
async fn a_decision_goes_over_the_socket_or_by_a_request_if_it_has_arguments_or_the_socket_refuses() {
    let (platos, client, thread) = conversation().await;
    platos.script(asking("apr_1").done());
    let mut turn = client.threads().send(&thread, "Hi");
    while !matches!(turn.next().await, Some(Ok(AgentEvent::ApprovalNeeded(_)))) {}
    turn.resolve("apr_1", by_request()).await.unwrap();
    assert!(platos.emitted("approval_response").is_empty());
    assert_eq!(platos.things("approvals")[0]["editedArgs"], json!({"order_id": "ord-1"}));
    assert_eq!(turn.text().await.unwrap(), "Done.");

    platos.script(asking("apr_2").done());
    let mut turn = client.threads().send(&thread, "Hi");
    while !matches!(turn.next().await, Some(Ok(AgentEvent::ApprovalNeeded(_)))) {}
    let error = turn.resolve("apr_0", Decision::approve()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    turn.resolve("apr_2", Decision::reject().because("no")).await.unwrap();
    let said = json!({"approvalId": "apr_2", "approved": false, "comment": "no"});
    assert_eq!(platos.emitted("approval_response").last(), Some(&said));
    assert_eq!(turn.text().await.unwrap(), "Left alone.");
}

#[tokio::test]
async fn an_end_user_decides_about_what_they_asked_for_themselves() {
    let (platos, _, _) = conversation().await;
    platos.accept_end_user("an.end.user");
    let client = platos.builder().session_token("an.end.user").build().unwrap();
    let thread = client.threads().create(NewThread::with_agent("agt_support")).await.unwrap().id;
    // Only operators may look at approvals: what the event says has to be enough.
    for (id, decision) in [("apr_1", Decision::approve()), ("apr_2", by_request())] {
        platos.script(asking(id).done());
        let turn = client.threads().send(&thread, "Hi").run(|approval| {
            assert_eq!((approval.key(), approval.wish()), (id, Some("delete order ord-1042")));
            let decision = decision.clone();
            async move { decision }
        });
        assert_eq!(turn.await.unwrap().text, "May I? Done.");
    }
    let edited = &platos.things("approvals")[1]["editedArgs"];
    assert_eq!((platos.emitted("approval_response").len(), edited), (1, &json!({"order_id": "ord-1"})));
}
