//! Every row of the REST table: what goes out, and what comes back.

use platos_client::testing::{CannedAnswer, PlatosDouble};
use platos_client::{
    ApprovalStatus, ApprovalsQuery, BgoRunsQuery, BudgetPeriod, BudgetQuery, BudgetScopeType, Decision,
    Error, NewSchedule, NewThread, PlatosClient, RawRequest, Role, RunsQuery, TaskOptions, ThreadsQuery,
};
use serde_json::{Value, json};

const BASE: &str = "/api/v1/agent";

/// The last request: method, path under the base with its query, and body.
fn last(platos: &PlatosDouble) -> (String, Value) {
    let request = platos.requests().pop().unwrap();
    let path = request.path.strip_prefix(BASE).unwrap().to_owned();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    (format!("{} {path}{query}", request.method), request.body)
}

async fn start() -> (PlatosDouble, PlatosClient) {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.client();
    (platos, client)
}

#[tokio::test]
async fn agents() {
    let (platos, client) = start().await;
    let agents = client.agents().list().await.unwrap();
    assert_eq!(last(&platos).0, "GET /agents");
    assert_eq!((agents.len(), agents[0].model.as_deref()), (2, Some("large")));
    let agent = client.agents().get("agt_writer").await.unwrap().unwrap();
    assert_eq!(last(&platos).0, "GET /agents/agt_writer");
    assert_eq!(agent.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(client.agents().get("agt_nobody").await.unwrap(), None);
    let versions = client.agents().list_versions("agt_writer").await.unwrap();
    assert_eq!(last(&platos).0, "GET /agents/agt_writer/versions");
    assert_eq!((versions.len(), versions[0].version), (1, Some(1)));
    assert!(matches!(client.agents().list_versions("agt_nobody").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn threads() {
    let (platos, client) = start().await;
    let threads = client.threads();
    let thread = threads.create(NewThread::default()).await.unwrap();
    assert_eq!(last(&platos), ("POST /threads".to_owned(), json!({"agentId": "default", "title": null})));
    let titled = threads.create(NewThread::with_agent("agt_writer").title("Inbox ☕")).await.unwrap();
    assert_eq!(last(&platos).1, json!({"agentId": "agt_writer", "title": "Inbox ☕"}));
    assert_eq!((titled.title.as_deref(), titled.status.as_deref()), (Some("Inbox ☕"), Some("active")));

    let listed = threads.list(ThreadsQuery::new().agent("agt_writer").limit(5_u32)).await.unwrap();
    assert_eq!(last(&platos).0, "GET /threads?agentId=agt_writer&limit=5");
    assert_eq!(listed, std::slice::from_ref(&titled));
    assert_eq!(threads.list(ThreadsQuery::new()).await.unwrap().len(), 2);
    assert_eq!(threads.get(&titled.id).await.unwrap(), Some(titled.clone()));
    assert_eq!(threads.get("thr_0").await.unwrap(), None);

    threads.archive(&titled.id).await.unwrap();
    assert_eq!(last(&platos), (format!("POST /threads/{}/archive", titled.id), Value::Null));
    assert_eq!(threads.get(&titled.id).await.unwrap().unwrap().status.as_deref(), Some("archived"));
    threads.unarchive(&titled.id).await.unwrap();
    assert_eq!(last(&platos).0, format!("POST /threads/{}/unarchive", titled.id));

    client.threads().send(&thread.id, "Hello").text().await.unwrap();
    let messages = threads.messages(&thread.id).await.unwrap();
    assert_eq!(last(&platos).0, format!("GET /threads/{}/messages", thread.id));
    assert_eq!((messages.len(), messages[0].role.as_ref()), (1, Some(&Role::User)));
    assert_eq!(messages[0].content.as_deref(), Some("Hello"));
    platos.add(
        "artifacts",
        json!({
            "id": "art_1", "threadId": thread.id, "artifactKey": "notes", "kind": "code", "revision": 2,
            "language": "rust", "content": "fn main() {}", "pinned": true,
        }),
    );
    let artifacts = threads.artifacts(&thread.id).await.unwrap();
    assert_eq!(last(&platos).0, format!("GET /threads/{}/artifacts", thread.id));
    assert_eq!((artifacts[0].revision, &artifacts[0].extra["pinned"]), (Some(2), &json!(true)));

    threads.delete(&titled.id).await.unwrap();
    assert_eq!(last(&platos).0, format!("DELETE /threads/{}", titled.id));
    assert!(matches!(threads.delete(&titled.id).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn approvals() {
    let (platos, client) = start().await;
    for (id, status) in [("apr_1", "pending"), ("apr_2", "paused")] {
        platos.add("approvals", json!({
            "id": id, "scope": {"organizationId": "o", "projectId": "p", "environmentId": "e"}, "agentId": "agt_support",
            "threadId": "thr_1", "question": "delete?", "context": {"n": 3}, "status": status,
        }));
    }
    let query = ApprovalsQuery::new()
        .status(ApprovalStatus::Pending)
        .agent("agt_support")
        .thread("thr_1")
        .limit(9_u32);
    let open = client.approvals().list(query).await.unwrap();
    let expected = "GET /monitoring/approvals?status=pending&agentId=agt_support&threadId=thr_1&limit=9";
    assert_eq!((last(&platos).0.as_str(), open.len()), (expected, 1));
    assert_eq!(open[0].scope.as_ref().unwrap().project_id.as_deref(), Some("p"));
    let other = client.approvals().get("apr_2").await.unwrap().unwrap();
    assert_eq!(last(&platos).0, "GET /monitoring/approvals/apr_2");
    assert_eq!(other.status, Some(ApprovalStatus::Other("paused".to_owned())));
    assert_eq!(client.approvals().get("apr_3").await.unwrap(), None);

    let decision = Decision::reject().because("not today");
    let resolved = client.approvals().resolve("apr_1", decision).await.unwrap().unwrap();
    let body = json!({"response": "reject", "reason": "not today"});
    assert_eq!(last(&platos), ("POST /monitoring/approvals/apr_1/resolve".to_owned(), body));
    assert_eq!(resolved.status, Some(ApprovalStatus::Rejected));
    assert_eq!(resolved.resolution.unwrap().reason.as_deref(), Some("not today"));
    let error = client.approvals().resolve("apr_1", Decision::approve()).await.unwrap_err();
    assert_eq!((error.status(), last(&platos).1), (Some(409), json!({"response": "approve"})));
}

#[tokio::test]
async fn budgets() {
    let (platos, client) = start().await;
    let cap = json!({
        "id": "cap_1", "scopeType": "agent", "targetId": "agt_support", "period": "fortnight", "limitCents": 2500,
        "runsLimit": null, "alertThresholds": [0.5, 0.9], "alertEmails": ["a@example.com"],
    });
    platos.add("caps", cap.clone());
    let status = json!({
        "cap": cap, "spentCents": 12.5, "reservedCents": 0, "runs": 3, "windowKey": "2026-11-21",
        "crossedThresholds": [0.5],
    });
    platos.add("budget status", status.clone());
    let caps = client.budgets().list().await.unwrap();
    assert_eq!(last(&platos).0, "GET /monitoring/budget/caps");
    assert_eq!(caps[0].scope_type, Some(BudgetScopeType::Agent));
    assert_eq!(caps[0].period, Some(BudgetPeriod::Other("fortnight".to_owned())));
    assert_eq!((caps[0].limit_cents, caps[0].runs_limit), (Some(2_500.0), None));
    assert_eq!(caps[0].alert_thresholds, [0.5, 0.9]);
    let query = BudgetQuery::new().agent("agt_support").user("usr 7");
    let statuses = client.budgets().status(query).await.unwrap();
    assert_eq!(last(&platos).0, "GET /monitoring/budget/status?agentId=agt_support&userId=usr+7");
    assert_eq!((statuses[0].spent_cents, statuses[0].cap.as_ref()), (Some(12.5), Some(&caps[0])));
    platos.answer_next("budget/status", CannedAnswer::status(200).json(&status));
    assert_eq!(client.budgets().status(BudgetQuery::new()).await.unwrap(), statuses);
}

#[tokio::test]
async fn monitoring() {
    let (platos, client) = start().await;
    platos.add(
        "monitoring runs",
        json!({"id": "run_1", "agentId": "a", "threadId": "t", "status": "ok", "durationMs": 1200}),
    );
    platos.add("spans", json!({"traceId": "tr/1", "spanId": "s", "name": "model", "attributes": {"k": 1}}));
    platos.add("cost by agent", json!({"agentId": "a", "day": "2026-11-21", "costCents": "7.5", "runs": 4}));
    platos.add("cost by scope", json!({"day": "2026-11-20", "costCents": 9, "inputTokens": 100}));
    let monitoring = client.monitoring();
    let query = RunsQuery::new().agent("a").thread("t").status("ok").limit(1_u32);
    assert_eq!(monitoring.runs(query).await.unwrap()[0].duration_ms, Some(1_200.0));
    assert_eq!(last(&platos).0, "GET /monitoring/runs?agentId=a&threadId=t&status=ok&limit=1");
    assert_eq!(monitoring.trace("tr/1").await.unwrap()[0].attributes, Some(json!({"k": 1})));
    assert_eq!(last(&platos).0, "GET /monitoring/traces/tr%2F1");
    assert_eq!(monitoring.cost_by_agent(Some("2026-11-21")).await.unwrap()[0].cost_cents, Some(7.5));
    assert_eq!(last(&platos).0, "GET /monitoring/cost/by-agent?day=2026-11-21");
    assert_eq!(monitoring.cost_by_agent(None).await.unwrap().len(), 1);
    assert_eq!(monitoring.cost_by_scope(Some(7)).await.unwrap()[0].input_tokens, Some(100));
    assert_eq!(last(&platos).0, "GET /monitoring/cost/by-scope?daysBack=7");
}

#[tokio::test]
async fn background_operations() {
    let (platos, client) = start().await;
    let bgo = client.bgo();
    let tasks = bgo.tasks().list().await.unwrap();
    assert_eq!((last(&platos).0.as_str(), tasks[0].id.as_str()), ("GET /trigger/tasks", "reindex"));
    assert_eq!(tasks[0].extra["filePath"], "tasks/reindex.ts");
    let options = TaskOptions::new().option("ttl", "1h");
    let handle = bgo.tasks().trigger("reindex", [1, 2], options).await.unwrap();
    let body = json!({"payload": [1, 2], "options": {"ttl": "1h"}});
    assert_eq!(last(&platos), ("POST /trigger/tasks/reindex/trigger".to_owned(), body));
    let run_id = handle.run_id().unwrap();

    let runs =
        bgo.runs().list(BgoRunsQuery::new().task("reindex").status("QUEUED").limit(3_u32)).await.unwrap();
    assert_eq!(last(&platos).0, "GET /trigger/runs?taskId=reindex&status=QUEUED&limit=3");
    assert_eq!((runs.len(), &runs[0].extra["payload"]), (1, &json!([1, 2])));
    assert_eq!(bgo.runs().get(run_id).await.unwrap(), runs[0]);
    assert!(matches!(bgo.runs().get("run_0").await, Err(Error::NotFound(_))));
    let canceled = bgo.runs().cancel(run_id).await.unwrap().unwrap();
    assert_eq!(last(&platos).0, format!("POST /trigger/runs/{run_id}/cancel"));
    assert_eq!(canceled.status.as_deref(), Some("CANCELED"));
    let again = bgo.runs().replay(run_id).await.unwrap();
    assert_eq!(last(&platos).0, format!("POST /trigger/runs/{run_id}/replay"));
    assert_ne!(again.run_id(), Some(run_id));

    let nightly =
        NewSchedule::new("reindex", "0 3 * * *").timezone("Europe/Berlin").payload(json!({"full": true}));
    let schedule = bgo.schedules().create(nightly).await.unwrap();
    let body = json!({"taskId": "reindex", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "payload": {"full": true}});
    assert_eq!(last(&platos), ("POST /trigger/schedules".to_owned(), body));
    assert_eq!(bgo.schedules().list().await.unwrap(), std::slice::from_ref(&schedule));
    let off = bgo.schedules().deactivate(&schedule.id).await.unwrap().unwrap();
    assert_eq!(last(&platos).0, format!("POST /trigger/schedules/{}/deactivate", schedule.id));
    assert_eq!(off.active, Some(false));
    assert_eq!(bgo.schedules().activate(&schedule.id).await.unwrap().unwrap().active, Some(true));
    bgo.schedules().delete(&schedule.id).await.unwrap();
    assert_eq!(last(&platos).0, format!("DELETE /trigger/schedules/{}", schedule.id));

    let batch = bgo
        .batches()
        .trigger("reindex", [json!({"n": 1}), json!({"n": 2})], TaskOptions::new())
        .await
        .unwrap();
    let body = json!({"payloads": [{"n": 1}, {"n": 2}], "options": {}});
    assert_eq!(last(&platos), ("POST /trigger/batches/reindex".to_owned(), body));
    let read = bgo.batches().get(batch.id().unwrap()).await.unwrap();
    assert_eq!((read.id(), read.run_ids.len()), (batch.id(), 2));
    assert_eq!(read.run_ids, batch.run_ids);
}

#[tokio::test]
async fn a_request_that_no_method_stands_for() {
    let (platos, client) = start().await;
    let request = RawRequest::get("/api/v1/agent/threads").query("limit", "2");
    assert_eq!(client.raw(request).await.unwrap().json::<Value>().unwrap(), json!({"threads": []}));
    let request = RawRequest::post("/api/v1/agent/threads").json(json!({"agentId": "default"}));
    let answer = client.raw(request).await.unwrap();
    assert_eq!((answer.status(), last(&platos).0.as_str()), (201, "POST /threads"));
    let id = answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned();
    let answer = client.raw(RawRequest::delete(format!("/api/v1/agent/threads/{id}"))).await.unwrap();
    assert_eq!((answer.status(), answer.text()), (204, ""));
    for path in ["api", "/a?b=c", "/a/../b"] {
        let error = client.raw(RawRequest::get(path)).await.unwrap_err();
        assert!(error.to_string().starts_with("the path of a raw request "), "{error}");
    }
}

#[tokio::test]
async fn answers_that_are_not_what_was_expected_say_so() {
    let (platos, client) = start().await;
    let page = CannedAnswer::status(200).html("<!doctype html><title>Log in</title>");
    platos.answer_next("agents", page.clone());
    let error = client.agents().list().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /api/v1/agent/agents: the answer is a page, not JSON: check that the base URL is a Platos agent API"
    );
    assert_eq!((error.status(), error.body()), (Some(200), Some("<!doctype html><title>Log in</title>")));
    for (answer, part) in [
        (json!({"items": []}), "the answer has no `agents`"),
        (json!("agents"), "no object with `agents`"),
        (json!({"agents": [{"id": "a"}, {"name": "b"}]}), "not understood at `[1]`: missing field `id`"),
        (json!({"agents": 7}), "not understood"),
    ] {
        platos.answer_next("agents", CannedAnswer::status(200).json(&answer));
        let error = client.agents().list().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)) && error.to_string().contains(part), "{error}");
    }
    for nothing in [CannedAnswer::status(204), CannedAnswer::status(200).json(&json!({"agents": null}))] {
        platos.answer_next("agents", nothing);
        assert_eq!(client.agents().list().await.unwrap(), []);
    }
    platos.answer_next("agents", CannedAnswer::status(200).json(&json!([{"id": "a"}])));
    assert_eq!(client.agents().list().await.unwrap().len(), 1);
    platos.answer_next("threads", CannedAnswer::status(201));
    let error = client.threads().create(NewThread::default()).await.unwrap_err();
    assert!(error.to_string().contains("the answer is empty"), "{error}");
    // What gives nothing back is not done either when a login page answers.
    platos.answer_next("archive", page.clone());
    let error = client.threads().archive("thr_1").await.unwrap_err();
    assert!(error.to_string().contains("the answer is a page"), "{error}");
    platos.answer_next("cancel", page);
    let error = client.bgo().runs().cancel("run_1").await.unwrap_err();
    assert!(error.to_string().contains("the answer is a page"), "{error}");
    // A page is not the platform's way to say that there is no such agent.
    platos.answer_next("agents", CannedAnswer::status(404).html("<html>nginx</html>"));
    assert!(matches!(client.agents().get("a").await, Err(Error::NotFound(_))));
    platos.answer_next("agents", CannedAnswer::status(404));
    assert_eq!(client.agents().get("a").await.unwrap(), None);
}

#[tokio::test]
async fn what_was_read_is_written_again_with_all_its_fields() {
    let (_platos, client) = start().await;
    let answer = client.raw(RawRequest::get("/api/v1/agent/agents")).await.unwrap();
    let agents = client.agents().list().await.unwrap();
    assert_eq!(json!({"agents": agents}), answer.json::<Value>().unwrap());
}
