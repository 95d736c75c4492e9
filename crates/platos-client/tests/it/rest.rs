//! Every row of the REST table: what goes out, and what comes back.

use std::sync::{Arc, Mutex};

use platos_client::testing::{CannedAnswer, DoubleOptions, Generation, PlatosDouble};
use platos_client::{
    ApprovalStatus, ApprovalsQuery, BgoRunsQuery, BudgetCap, BudgetPeriod, BudgetQuery, BudgetScopeType,
    Decision, Error, JobChange, JobsQuery, NewAttachment, NewBudget, NewEntity, NewJob, NewSchedule,
    NewThread, PlatosClient, RawRequest, Role, RunsQuery, TaskOptions, ThreadsQuery, ToolCallsQuery, codes,
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

/// Both generations, each with a client.
async fn both() -> [(PlatosDouble, PlatosClient); 2] {
    let options = DoubleOptions::default().generation(Generation::Oldest);
    let oldest = PlatosDouble::start_with(options).await.unwrap();
    let client = oldest.client();
    [start().await, (oldest, client)]
}

#[tokio::test]
async fn agents() {
    for (platos, client) in both().await {
        let agents = client.agents().list().await.unwrap();
        assert_eq!(last(&platos).0, "GET /agents");
        assert_eq!((agents.len(), agents[0].model.as_deref()), (2, Some("large")));
        let agent = client.agents().get("agt_writer").await.unwrap().unwrap();
        assert_eq!(last(&platos).0, "GET /agents/agt_writer");
        assert_eq!(agent.system_prompt.as_deref(), Some("Be brief."));
        // A success that says 404 is one, too.
        assert_eq!(client.agents().get("agt_nobody").await.unwrap(), None);
    }
}

#[tokio::test]
async fn versions_of_agents_by_the_newer_route_and_on_404_by_the_older() {
    let paths = [
        [
            "/agent-versions?agentId=agt_writer",
            "/agent-versions/agt_writer_v1?agentId=agt_writer",
            "/agent-versions/agt_writer_v1/rollback",
        ],
        [
            "/agents/agt_writer/versions",
            "/agents/agt_writer/versions/agt_writer_v1",
            "/agents/agt_writer/versions/agt_writer_v1/rollback",
        ],
    ];
    for ((platos, client), [all, one, back]) in both().await.into_iter().zip(paths) {
        let versions = client.agents().list_versions("agt_writer").await.unwrap();
        assert_eq!(last(&platos).0, format!("GET {all}"));
        assert_eq!((versions.len(), versions[0].number()), (1, Some(1)));
        let version = client.agents().version("agt_writer", "agt_writer_v1").await.unwrap();
        assert_eq!((last(&platos).0, version.id.as_deref()), (format!("GET {one}"), Some("agt_writer_v1")));
        let agent = client.agents().roll_back("agt_writer", "agt_writer_v1").await.unwrap();
        assert_eq!((last(&platos).0, agent.id.as_str()), (format!("POST {back}"), "agt_writer"));
        assert!(matches!(client.agents().version("agt_writer", "v9").await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn threads() {
    for (platos, client) in both().await {
        let threads = client.threads();
        let thread = threads.create(NewThread::with_agent("agt_writer")).await.unwrap();
        assert_eq!(last(&platos), ("POST /threads".to_owned(), json!({"agentId": "agt_writer"})));
        let titled = threads.create(NewThread::with_agent("agt_writer").title("Inbox ☕")).await.unwrap();
        assert_eq!(last(&platos).1, json!({"agentId": "agt_writer", "title": "Inbox ☕"}));
        assert_eq!((titled.title.as_deref(), titled.status.as_deref()), (Some("Inbox ☕"), Some("active")));

        let listed = threads.list(ThreadsQuery::new().agent("agt_writer").limit(5_u32)).await.unwrap();
        assert_eq!(last(&platos).0, "GET /threads?agentId=agt_writer&limit=5");
        assert_eq!(listed.len(), 2);
        assert_eq!(threads.get(&titled.id).await.unwrap(), Some(titled.clone()));
        assert_eq!(threads.get("thr_0").await.unwrap(), None);

        threads.archive(&titled.id).await.unwrap();
        assert_eq!(last(&platos), (format!("POST /threads/{}/archive", titled.id), Value::Null));
        assert_eq!(threads.get(&titled.id).await.unwrap().unwrap().status.as_deref(), Some("archived"));
        threads.unarchive(&titled.id).await.unwrap();
        assert_eq!(last(&platos).0, format!("POST /threads/{}/unarchive", titled.id));
        // Newer platforms say 400 to that, older ones 404.
        let error = threads.archive("thr_0").await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_) | Error::Validation { .. }), "{error}");

        threads.rename(&titled.id, Some("Outbox")).await.unwrap();
        let renamed = (format!("PATCH /threads/{}/rename", titled.id), json!({"title": "Outbox"}));
        assert_eq!(last(&platos), renamed);
        assert!(matches!(threads.rename("thr_0", None).await, Err(Error::NotFound(_))));
        let tagged = threads.set_tags(&titled.id, ["a", "b"]).await.unwrap();
        assert_eq!(
            (last(&platos).1, tagged.tags),
            (json!({"tags": ["a", "b"]}), Some(vec!["a".to_owned(), "b".to_owned()]))
        );
        let pinned = threads.pin(&titled.id, true).await.unwrap();
        assert_eq!((last(&platos).1, pinned.pinned_at.is_some()), (json!({"pinned": true}), true));
        let fork = threads.fork(&titled.id, "msg_1", None).await.unwrap();
        assert_eq!(last(&platos).1, json!({"upToMessageId": "msg_1"}));
        assert_eq!(fork.parent_thread_id.as_ref(), Some(&titled.id));

        client.threads().send(&thread.id, "Hello").text().await.unwrap();
        let messages = threads.messages(&thread.id).await.unwrap();
        assert_eq!(last(&platos).0, format!("GET /threads/{}/messages", thread.id));
        let roles: Vec<_> = messages.iter().map(|message| message.role.clone().unwrap()).collect();
        assert_eq!(roles, [Role::User, Role::Assistant]);
        assert_eq!(messages[0].content.as_deref(), Some("Hello"));
        assert!(matches!(threads.messages("thr_0").await, Err(Error::NotFound(_))));
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
        // A success that says that nothing was done.
        assert!(matches!(threads.delete(&titled.id).await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn a_thread_without_an_agent_is_not_asked_for() {
    let (platos, client) = start().await;
    for thread in [NewThread::default(), NewThread::with_agent("default")] {
        let error = client.threads().create(thread).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)) && error.to_string().contains("agent id"), "{error}");
    }
    assert!(platos.requests().is_empty());
}

#[tokio::test]
async fn messages_have_replies_and_ratings() {
    let (platos, client) = start().await;
    platos.add("messages", json!({"id": "msg_1", "threadId": "t", "role": "assistant", "content": "Hi"}));
    platos.add(
        "messages",
        json!({"id": "msg_2", "threadId": "t", "role": "user", "replyToMessageId": "msg_1"}),
    );
    let messages = client.messages();
    let rated = messages.rate("msg_1", false, Some("wrong")).await.unwrap();
    let body = json!({"rating": -1, "comment": "wrong"});
    assert_eq!(last(&platos), ("POST /messages/msg_1/rating".to_owned(), body));
    assert_eq!((rated.rating, rated.comment.as_deref()), (Some(-1), Some("wrong")));
    let ratings = messages.ratings("msg_1").await.unwrap();
    assert_eq!((ratings.aggregate.ups, ratings.aggregate.downs), (0, 1));
    messages.unrate("msg_1").await.unwrap();
    assert!(matches!(messages.unrate("msg_1").await, Err(Error::NotFound(_))));
    let error = messages.rate("msg_9", true, None).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some(codes::MESSAGE_NOT_FOUND)));
    assert_eq!(messages.replies("t", "msg_1").await.unwrap()[0].id, "msg_2");
    assert_eq!(messages.reply_counts("t", &["msg_1", "msg_2"]).await.unwrap()["msg_1"], 1);
    assert_eq!(last(&platos).0, "GET /threads/t/reply-counts?messageIds=msg_1%2Cmsg_2");
}

#[tokio::test]
async fn a_file_goes_where_the_platform_says_and_takes_no_credential_along() {
    let (platos, client) = start().await;
    let file = vec![7_u8; 200_000];
    let file = NewAttachment::new("agt_writer", "thr_1", "image/png", file).filename("cat.png");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let attachments = client.attachments();
    let uploaded = attachments.upload(&file, move |sent, all| tell.lock().unwrap().push((sent, all)));
    let id = uploaded.await.unwrap();
    let requests = platos.requests();
    let body = json!({"agentId": "agt_writer", "threadId": "thr_1", "mimeType": "image/png", "bytes": 200_000,
        "filename": "cat.png"});
    assert_eq!(
        (requests[0].path.as_str(), &requests[0].body),
        ("/api/v1/agent/attachments/presigned", &body)
    );
    let put = &requests[1];
    assert_eq!((put.method.as_str(), put.path.clone()), ("PUT", format!("/_upload/{id}")));
    let sent = |name: &str| put.header(name);
    assert_eq!((sent("content-type"), sent("content-length")), (Some("image/png"), Some("200000")));
    assert_eq!(sent("x-amz-meta-thread"), Some("thr_1"), "what the URL is signed for");
    assert!(put.headers.keys().all(|name| !name.starts_with("x-platos")), "{:?}", put.headers);
    let told = told.lock().unwrap().clone();
    assert!(told.is_sorted() && told.len() > 1 && told.last() == Some(&(200_000, 200_000)), "{told:?}");

    let huge = NewAttachment::new("agt_writer", "thr_1", "image/png", vec![0; (20 << 20) + 1]);
    let error = client.attachments().upload(&huge, |_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("20 MiB"), "{error}");
    platos.answer_next("_upload", CannedAnswer::status(403).html("<Error>signed-by-the-double</Error>"));
    let error = client.attachments().upload(&file, |_, _| {}).await.unwrap_err();
    assert!(matches!(error, Error::Status(_)) && error.to_string().contains("upload it again"), "{error}");
    assert_eq!(error.body(), Some("<Error>[redacted]</Error>"));
    platos.answer_next("_upload", CannedAnswer::drop_connection());
    let error = client.attachments().upload(&file, |_, _| {}).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("signed-by"), "{error:?}");
    let asked = platos.requests().len();
    let odd = NewAttachment::new("agt_writer", "thr_1", "image/\npng", "x");
    let error = client.attachments().upload(&odd, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("the media type of the attachment contains a line break"), "{error}");
    assert_eq!(platos.requests().len(), asked);
    let [_, (_old, client)] = both().await;
    let error = client.attachments().upload(&file, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().ends_with("only in their web application"), "{error}");
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let (platos, client) = start().await;
    for number in 0..230 {
        let id = format!("x{number:03}");
        for list in ["agents", "caps", "entities", "tools", "artifacts"] {
            platos.add(list, json!({"id": id, "name": id, "entityId": id, "threadId": "thr_9"}));
        }
        platos.add("cost by agent", json!({"agentId": id, "costCents": 1}));
        platos.add("jobs", json!({"id": id, "scheduleCron": "0 3 * * *"}));
        platos.add("versions", json!({"id": id, "agentId": "agt_nine", "versionNumber": number}));
    }
    platos.add("threads", json!({"id": "thr_9"}));
    assert_eq!(client.agents().list().await.unwrap().len(), 232);
    let queries: Vec<_> = platos.requests().into_iter().map(|request| request.query).collect();
    assert_eq!(queries, ["", "limit=100&offset=25", "limit=100&offset=125", "limit=100&offset=225"]);
    let versions = client.agents().list_versions("agt_nine").await.unwrap();
    assert_eq!((versions.len(), versions[229].number()), (230, Some(229)));
    assert_eq!(client.budgets().list().await.unwrap().len(), 230);
    assert_eq!(client.entities().list().await.unwrap().len(), 230);
    assert_eq!(client.tools().list(None).await.unwrap().len(), 230);
    assert_eq!(client.threads().artifacts("thr_9").await.unwrap().len(), 230);
    assert_eq!(client.monitoring().cost_by_agent(None).await.unwrap().len(), 230);
    assert_eq!(client.bgo().tasks().list().await.unwrap().len(), 231);
    assert_eq!(client.bgo().schedules().list().await.unwrap().len(), 230);
    assert_eq!(client.jobs().list(JobsQuery::new()).await.unwrap().len(), 25, "a page");

    // Older platforms have cursors, and no count.
    let page = |ids: [&str; 2], next: Value| {
        let versions = ids.map(|id| json!({"id": id}));
        CannedAnswer::status(200).json(&json!({"versions": versions, "nextCursor": next, "pageSize": 2}))
    };
    platos.answer_next("agent-versions", page(["a", "b"], json!("c2")));
    platos.answer_next("agent-versions", page(["c", "d"], Value::Null));
    assert_eq!(client.agents().list_versions("agt_nine").await.unwrap().len(), 4);
    assert_eq!(last(&platos).0, "GET /agent-versions?agentId=agt_nine&limit=100&cursor=c2");
}

#[tokio::test]
async fn approvals() {
    for (platos, client) in both().await {
        for (id, status) in [("run:1", "pending"), ("apr_2", "paused")] {
            platos.add(
                "approvals",
                json!({"id": id, "approvalId": id, "agentId": "agt_support", "threadId": "thr_1",
                    "action": "delete?", "details": {"n": 3}, "status": status, "source": "mcp_tool_call",
                    "toolName": "delete_order", "args": {"n": 3}, "resolution": "none yet"}),
            );
        }
        let query = ApprovalsQuery::new()
            .status(ApprovalStatus::Pending)
            .agent("agt_support")
            .thread("thr_1")
            .limit(9_u32);
        let open = client.approvals().list(query).await.unwrap();
        let expected = "GET /monitoring/approvals?status=pending&agentId=agt_support&threadId=thr_1&limit=9";
        assert_eq!((last(&platos).0.as_str(), open.len()), (expected, 1));
        assert_eq!((open[0].wish(), open[0].key()), (Some("delete?"), "run:1"));
        let asked = (open[0].tool_name.as_deref(), open[0].args.clone());
        assert_eq!(asked, (Some("delete_order"), Some(json!({"n": 3}))));
        let other = client.approvals().get("apr_2").await.unwrap().unwrap();
        assert_eq!(last(&platos).0, "GET /monitoring/approvals/apr_2");
        assert_eq!(other.status, Some(ApprovalStatus::Other("paused".to_owned())));
        assert_eq!(client.approvals().get("apr_3").await.unwrap(), None);

        let decision = Decision::approve().because("for once").edited_args(json!({"n": 1}));
        let resolved = client.approvals().resolve("run:1", decision).await.unwrap();
        let body = json!({"approved": true, "comment": "for once", "editedArgs": {"n": 1}});
        let (request, sent) = last(&platos);
        assert!(request.starts_with("POST /approvals/run") && request.ends_with("1/resolve"), "{request}");
        assert_eq!(sent, body);
        let outcome = (resolved.approved, resolved.status, resolved.edited_args_applied);
        assert_eq!(outcome, (Some(true), Some(ApprovalStatus::Approved), Some(true)));
        // What is decided stays.
        let again = client.approvals().resolve("run:1", Decision::reject()).await.unwrap();
        assert_eq!((again.approved, last(&platos).1), (Some(true), json!({"approved": false})));
        let wrong = Decision::approve().edited_args(json!([1]));
        let error = client.approvals().resolve("run:1", wrong).await.unwrap_err();
        assert!(matches!(error, Error::Validation { .. }), "{error}");
        assert!(matches!(
            client.approvals().resolve("apr_9", Decision::reject()).await,
            Err(Error::NotFound(_))
        ));
        let said = CannedAnswer::status(201).json(&json!({"resolved": false, "error": "the run has ended"}));
        platos.answer_next("resolve", said);
        let error = client.approvals().resolve("apr_2", Decision::reject()).await.unwrap_err();
        assert!(error.to_string().contains("the run has ended"), "{error}");
    }
}

#[tokio::test]
async fn budgets() {
    for (platos, client) in both().await {
        let cap = json!({
            "id": "cap_1", "scopeType": "agent", "targetId": "agt_support", "period": "fortnight", "limitCents": 2500,
            "runsLimit": null, "alertThresholds": [0.5, 0.9], "alertEmails": ["a@example.com"],
        });
        platos.add("caps", cap.clone());
        let status = json!({"cap": cap, "spentCents": 12.5, "runs": 3, "windowKey": "2026-11-21", "blocked": false,
                "percent": 0.5});
        platos.add("budget status", status.clone());
        let caps = client.budgets().list().await.unwrap();
        assert_eq!(last(&platos).0, "GET /budgets");
        assert_eq!(caps[0].scope_type, Some(BudgetScopeType::Agent));
        assert_eq!(caps[0].period, Some(BudgetPeriod::Other("fortnight".to_owned())));
        assert_eq!((caps[0].limit_cents, caps[0].runs_limit), (Some(2_500.0), None));
        assert_eq!(caps[0].alert_thresholds, [0.5, 0.9]);
        let query = BudgetQuery::new().agent("agt_support").user("usr 7");
        let statuses = client.budgets().status(query).await.unwrap();
        assert_eq!(last(&platos).0, "GET /budgets/status?agentId=agt_support&userId=usr+7");
        assert_eq!((statuses[0].spent_cents, statuses[0].cap.as_ref()), (Some(12.5), Some(&caps[0])));
        assert_eq!((statuses[0].blocked, statuses[0].percent), (Some(false), Some(0.5)));
        platos.answer_next("budgets/status", CannedAnswer::status(200).json(&status));
        assert_eq!(client.budgets().status(BudgetQuery::new()).await.unwrap(), statuses);

        let budget = NewBudget::new(&BudgetScopeType::User, &BudgetPeriod::Week, 500.0).target("usr_7");
        let set = client.budgets().set(budget.field("runsLimit", 9)).await.unwrap();
        let body = json!({"scopeType": "user", "period": "week", "limitCents": 500.0, "targetId": "usr_7", "runsLimit": 9});
        assert_eq!((last(&platos), set.runs_limit), (("POST /budgets".to_owned(), body), Some(9)));
        let newer: BudgetCap = serde_json::from_value(json!({"id": "cap_2", "turnsLimit": 4})).unwrap();
        assert_eq!((set.turns_limit(), newer.turns_limit()), (Some(9), Some(4)));
        let open = client.budgets().override_for(&set.id, 30).await.unwrap();
        assert_eq!(
            (last(&platos).1, open.extra["overrideUntil"].is_string()),
            (json!({"minutes": 30}), true)
        );
        client.budgets().delete(&set.id).await.unwrap();
        assert!(matches!(client.budgets().delete(&set.id).await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn monitoring() {
    for ((platos, client), is_newest) in both().await.into_iter().zip([true, false]) {
        let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
        platos.add(
            "spans",
            json!({"threadId": thread.id, "spanId": "s", "name": "model", "attributes": {"k": 1}}),
        );
        platos.add(
            "cost by agent",
            json!({"agentId": "a", "agentName": "Ann", "costCents": "7.5", "threads": 4}),
        );
        platos.add("cost by model", json!({"model": "large", "costCents": 7}));
        platos.add("cost of day", json!({"day": "2026-11-20", "costCents": 9, "inputTokens": 100}));
        let monitoring = client.monitoring();
        let trace = monitoring.trace(&thread.id).await.unwrap();
        assert_eq!(trace.spans[0].attributes, Some(json!({"k": 1})));
        let totals = trace.rollup.unwrap();
        assert_eq!((totals.total_cost_cents, totals.tool_call_count), (Some(1.5), Some(2)));
        assert!(trace.extra.contains_key("timeline"), "{:?}", trace.extra);
        assert_eq!(last(&platos).0, format!("GET /monitoring/trace/{}", thread.id));
        let costs = monitoring.cost_by_agent(Some(7)).await.unwrap();
        assert_eq!((costs[0].cost_cents, costs[0].agent_name.as_deref()), (Some(7.5), Some("Ann")));
        assert_eq!(last(&platos).0, "GET /monitoring/cost-by-agent?days=7");
        assert_eq!(monitoring.cost_by_model(None).await.unwrap()[0].model.as_deref(), Some("large"));
        assert_eq!(monitoring.cost_by_user(None).await.unwrap().len(), 0);
        let days = monitoring.cost_by_scope(["2026-11-20", "2026-11-21"]).await.unwrap();
        assert_eq!(last(&platos).0, "GET /monitoring/cost?date=2026-11-21");
        assert_eq!(
            (days[0].input_tokens, days[0].cost_cents, days[1].cost_cents),
            (Some(100), Some(9.0), Some(0.0))
        );
        assert_eq!(days[1].day.as_deref(), Some("2026-11-21"));
        platos.add("cost of user", json!({"userId": "usr_7", "day": "2026-11-21", "costCents": 2}));
        let cost = monitoring.cost_of_user("usr_7", "2026-11-21").await;
        assert_eq!(last(&platos).0, "GET /monitoring/cost/user/usr_7?date=2026-11-21");
        if is_newest {
            let cost = cost.unwrap();
            assert_eq!((cost.cost_cents, cost.day.as_deref()), (Some(2.0), Some("2026-11-21")));
        } else {
            assert!(cost.unwrap_err().to_string().contains("it is an older one"), "there is no such route");
        }
        assert_eq!(monitoring.cost_of_thread(&thread.id).await.unwrap().cost_cents, Some(3.0));
        // What published clients ask for and no platform has.
        let query = RunsQuery::new().agent("a").thread("t").status("ok").limit(1_u32);
        let error = monitoring.runs(query).await.unwrap_err();
        assert_eq!(last(&platos).0, "GET /monitoring/runs?agentId=a&threadId=t&status=ok&limit=1");
        assert!(error.to_string().contains("does not offer that: `tool_calls().list(…)`"), "{error}");
    }
}

#[tokio::test]
async fn jobs_and_what_published_clients_call_tasks_and_schedules() {
    let bases = [("jobs", "dispatch"), ("platos-tasks", "run")];
    for ((platos, client), (base, run)) in both().await.into_iter().zip(bases) {
        let jobs = client.jobs();
        let listed = jobs.list(JobsQuery::new().limit(3_u32)).await.unwrap();
        assert_eq!(last(&platos).0, format!("GET /{base}?limit=3"));
        assert_eq!((listed.len(), listed[0].slug()), (1, Some("reindex")));
        assert_eq!(jobs.get("reindex").await.unwrap().display_name.as_deref(), Some("Rebuild the index"));
        let job = NewJob::new("nightly", "Nightly", "export default async () => {}").field("timeout", 60);
        let made = jobs.create(job).await.unwrap();
        assert_eq!(made.syntax_error, None);
        assert_eq!((last(&platos).0, made.slug()), (format!("POST /{base}"), Some("nightly")));
        jobs.dispatch(&made.id, json!({"full": true})).await.unwrap();
        let dispatched = (format!("POST /{base}/{}/{run}", made.id), json!({"payload": {"full": true}}));
        assert_eq!(last(&platos), dispatched);
        let broken =
            jobs.update(&made.id, JobChange::new().field("handler", "export default (")).await.unwrap();
        assert_eq!(broken.syntax_error.as_deref(), Some("Unexpected end of input"));
        assert!(!jobs.update(&made.id, JobChange::new().active(false)).await.unwrap().is_active.unwrap());
        let error = jobs.dispatch(&made.id, json!({})).await.unwrap_err();
        assert!(error.to_string().contains("the job is not active"), "{error}");
        jobs.delete(&made.id).await.unwrap();
        assert!(matches!(jobs.get(&made.id).await, Err(Error::NotFound(_))));

        let bgo = client.bgo();
        let tasks = bgo.tasks().list().await.unwrap();
        assert_eq!((tasks[0].id.as_str(), tasks[0].name.as_deref()), ("reindex", Some("Rebuild the index")));
        bgo.tasks().trigger("reindex", [1, 2], TaskOptions::new()).await.unwrap();
        assert_eq!(platos.things("dispatched").last().unwrap()["payload"], json!([1, 2]));
        let options = TaskOptions::new().option("ttl", "1h");
        let error = bgo.tasks().trigger("reindex", [1], options).await.unwrap_err();
        assert!(error.to_string().contains("no options"), "{error}");

        assert_eq!(bgo.schedules().list().await.unwrap().len(), 0);
        let nightly = NewSchedule::new("reindex", "0 3 * * *").timezone("Europe/Berlin");
        let schedule = bgo.schedules().create(nightly.clone()).await.unwrap();
        let body =
            json!({"scheduleCron": "0 3 * * *", "scheduleTimezone": "Europe/Berlin", "isActive": true});
        assert_eq!(last(&platos), (format!("PATCH /{base}/reindex"), body));
        assert_eq!(bgo.schedules().list().await.unwrap()[0].cron.as_deref(), Some("0 3 * * *"));
        let off = bgo.schedules().deactivate(&schedule.id).await.unwrap().unwrap();
        assert_eq!(off.active, Some(false));
        assert_eq!(bgo.schedules().activate(&schedule.id).await.unwrap().unwrap().active, Some(true));
        bgo.schedules().delete(&schedule.id).await.unwrap();
        assert_eq!(bgo.schedules().list().await.unwrap().len(), 0);
        let error = bgo.schedules().create(nightly.payload(json!({}))).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");

        for error in [
            bgo.runs().list(BgoRunsQuery::new().task("reindex")).await.unwrap_err(),
            bgo.runs().get("run_1").await.unwrap_err(),
            bgo.runs().cancel("run_1").await.unwrap_err(),
            bgo.runs().replay("run_1").await.unwrap_err(),
            bgo.batches().trigger("reindex", [1], TaskOptions::new()).await.unwrap_err(),
            bgo.batches().get("batch_1").await.unwrap_err(),
        ] {
            assert!(
                error.to_string().contains("does not offer that: ") && error.to_string().contains("jobs()"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn tools_and_what_they_did() {
    for ((platos, client), base) in both().await.into_iter().zip(["tool-calls", "monitoring/tool-audit"]) {
        platos.add("tools", json!({"name": "lookup_order", "description": "Look up."}));
        platos.add("tool calls", json!({"id": "tc_1", "toolName": "lookup_order", "status": "failed"}));
        assert_eq!(client.tools().list(None).await.unwrap()[0].name.as_deref(), Some("lookup_order"));
        assert_eq!(client.tools().search("order", Some(5)).await.unwrap().len(), 1);
        assert_eq!(last(&platos).0, "GET /tools/search?q=order&limit=5");
        client.tools().enable("orders", "lookup_order", false).await.unwrap();
        let switched = ("PATCH /tools/orders/lookup_order/enabled".to_owned(), json!({"enabled": false}));
        assert_eq!(last(&platos), switched);
        let run = client.tools().execute("lookup_order", json!({"id": 1})).await.unwrap();
        assert_eq!((run.status.as_deref(), run.result), (Some("success"), Some(json!({"id": 1}))));
        let query = ToolCallsQuery::new().status("failed").days(7_u32);
        let calls = client.tool_calls().list(query).await.unwrap();
        assert_eq!(last(&platos).0, format!("GET /{base}?status=failed&sinceDays=7"));
        assert_eq!(calls[0].tool_name.as_deref(), Some("lookup_order"));
        assert_eq!(client.tool_calls().get("tc_1").await.unwrap().status.as_deref(), Some("failed"));
        assert!(matches!(client.tool_calls().get("tc_9").await, Err(Error::NotFound(_))));
    }
    let (_platos, client) = start().await;
    assert!(client.tool_calls().replay("tc_9").await.is_err());
}

#[tokio::test]
async fn entities_and_their_secrets_that_are_shown_once() {
    let (platos, client) = start().await;
    let entities = client.entities();
    let made = entities.create(NewEntity::new("orders-prod", "Orders")).await.unwrap();
    assert_eq!(last(&platos).1, json!({"entityId": "orders-prod", "displayName": "Orders"}));
    let secret = made.plaintext_secret.clone().unwrap();
    assert!(!format!("{made:?}").contains(&secret), "{made:?}");
    assert_eq!(entities.list().await.unwrap().len(), 1);
    assert!(entities.get("orders-prod").await.unwrap().is_some());
    assert_eq!(entities.get("nobody").await.unwrap(), None);
    let fresh = entities.regenerate_secret("orders-prod").await.unwrap();
    assert_ne!(fresh.plaintext_secret, Some(secret));
    // That the tool failed is no error, and neither a refusal in a success.
    let tested = entities.wire_test("orders-prod", None, json!({})).await.unwrap();
    assert_eq!(last(&platos).1, json!({"toolName": "ping", "params": {}}));
    assert_eq!(tested.status.as_deref(), Some("failed"));
    entities.delete("orders-prod").await.unwrap();
    assert!(matches!(entities.delete("orders-prod").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_guest_gets_a_token_for_one_agent() {
    let (platos, client) = start().await;
    let guest = client.guests().token("agt_writer", Some("env_prod")).await.unwrap();
    let request = platos.requests().pop().unwrap();
    assert_eq!(request.path, "/api/v1/public/guest-token");
    assert_eq!(request.body, json!({"agentId": "agt_writer", "environmentId": "env_prod"}));
    assert!(!format!("{guest:?}").contains(&guest.token), "{guest:?}");
    // Who has no credentials sends none.
    let guest = platos.builder().guest_token("agt_writer", None).await.unwrap();
    let request = platos.requests().pop().unwrap();
    let credentials = ["x-platos-session-token", "authorization"].map(|name| request.header(name));
    assert_eq!((credentials, &request.body), ([None, None], &json!({"agentId": "agt_writer"})));
    let error = platos.builder().guest_token("agt_0", None).await.unwrap_err();
    assert!(
        matches!(error, Error::NotFound(_)) && error.to_string().contains("not open to guests"),
        "{error}"
    );
    let error = platos.builder().guest_token("", None).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    let client = platos.builder().session_token(guest.token).build().unwrap();
    client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    let error = client.agents().list().await.unwrap_err();
    assert_eq!(error.code(), Some(codes::OPERATOR_ONLY));
}

#[tokio::test]
async fn a_request_that_no_method_stands_for() {
    let (platos, client) = start().await;
    let request = RawRequest::get("/api/v1/agent/threads").query("limit", "2");
    assert_eq!(client.raw(request).await.unwrap().json::<Value>().unwrap()["threads"], json!([]));
    let request = RawRequest::post("/api/v1/agent/threads").json(json!({"agentId": "agt_writer"}));
    let answer = client.raw(request).await.unwrap();
    assert_eq!((answer.status(), last(&platos).0.as_str()), (201, "POST /threads"));
    let id = answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned();
    let answer = client.raw(RawRequest::delete(format!("/api/v1/agent/threads/{id}"))).await.unwrap();
    assert_eq!((answer.status(), answer.json::<Value>().unwrap()["archived"].clone()), (200, json!(true)));
    let rename = RawRequest::patch("/api/v1/agent/threads/thr_0/rename").json(json!({"title": "x"}));
    assert!(matches!(client.raw(rename).await, Err(Error::NotFound(_))));
    assert_eq!(last(&platos).0, "PATCH /threads/thr_0/rename");
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
    let error = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap_err();
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
    assert_eq!(json!(agents), answer.json::<Value>().unwrap()["agents"]);
}
