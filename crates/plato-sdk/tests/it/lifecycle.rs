//! A session from its start to its end, with what is asked of it in between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use plato_sdk::testing::{Boot, FakePlato, FakeTestcase};
use plato_sdk::{Action, Env, ScoringType, SnapshotKind, SnapshotOptions, TestcaseFilter};
use serde_json::json;

#[tokio::test]
async fn waiting_tells_how_far_each_machine_is() {
    let fake = FakePlato::start();
    fake.boot("ubuntu-vm", Boot::AfterLooks(2));
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let request = fake.client().session().env(Env::simulator("ubuntu-vm").alias("desktop"));
    let session = request.on_progress(move |progress| seen.lock().unwrap().push(progress.jobs.clone()));
    session.start().await.unwrap();
    let told = told.lock().unwrap();
    let states: Vec<_> = told.iter().map(|jobs| jobs[0].status.clone().unwrap().to_string()).collect();
    assert_eq!(states, ["queued", "running", "running"]);
    assert!(told[2][0].ready && told[2][0].alias == "desktop");
}

#[tokio::test]
async fn a_testcase_is_scored_by_what_was_changed_and_what_was_answered() {
    let testcase = FakeTestcase::new("tc_notes", "Write `milk` and save.")
        .simulator("ubuntu-vm")
        .expects_mutation("notes", "INSERT")
        .expects_output(json!({"saved": true}));
    let fake = FakePlato::builder().testcase(testcase).start();
    let session = fake.client().session().testcase("tc_notes").start().await.unwrap();
    assert_eq!(session.task_public_id().as_deref(), Some("tc_notes"));
    let before = session.evaluate(Some(&json!({"saved": true}))).await.unwrap();
    assert_eq!((before.correct, before.score), (Some(false), Some(0.5)));
    assert_eq!(before.scored_by(), [ScoringType::Mutation, ScoringType::Output]);

    let desktop = session.desktop().unwrap();
    desktop.perform(Action::Type { text: "milk".into() }).await.unwrap();
    desktop.perform(Action::Key { keys: "ctrl+s".into() }).await.unwrap();
    let states = session.state().await.unwrap();
    let mutations = states["desktop"].mutations();
    assert_eq!(
        (mutations[0].table.as_deref(), mutations[0].action.as_deref()),
        (Some("notes"), Some("INSERT"))
    );
    assert_eq!(mutations[0].record["row"]["text"], "milk");
    let env = session.environment("desktop").unwrap();
    assert_eq!(fake.file(env.job_id(), "/home/user/notes.txt").as_deref(), Some(b"milk".as_slice()));
    let after = env.state(states["desktop"].mutations_cursor.as_deref()).await.unwrap();
    assert!(after.mutations().is_empty());

    let scored = session.evaluate(Some(&json!({"saved": true}))).await.unwrap();
    assert_eq!((scored.correct, scored.score), (Some(true), Some(1.0)));
    session.reset().await.unwrap();
    assert!(session.state().await.unwrap()["desktop"].mutations().is_empty());
}

#[tokio::test]
async fn answers_with_unknown_words_and_fields_are_taken_as_they_come() {
    let fake = FakePlato::start();
    let plato = fake.client();
    let session = plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await.unwrap();
    let unknown = json!({"success": true, "session_id": "s", "score": 0.25, "vibes_result": {"mood": "good"},
        "sim_results": null, "pex_result": null});
    fake.fail(plato_sdk::testing::Fault::on("POST /sessions/*/evaluate").json(&unknown));
    let evaluation = session.evaluate(None).await.unwrap();
    assert_eq!(evaluation.scored_by(), [ScoringType::Other("vibes".into())]);
    assert_eq!(evaluation.other["vibes_result"]["mood"], "good");
    let info = json!({"job_id": "j", "status": "hibernating", "provider": "bhyve", "novel": [1]});
    fake.fail(plato_sdk::testing::Fault::on("GET /jobs/*/info").json(&info));
    let info = session.environment("desktop").unwrap().info().await.unwrap();
    assert_eq!(info.status.unwrap().as_str(), "hibernating");
    assert_eq!(info.provider.unwrap().as_str(), "bhyve");
}

#[tokio::test]
async fn the_catalogue_is_filtered_and_paged() {
    let mut builder = FakePlato::builder();
    for index in 0..5 {
        let testcase = FakeTestcase::new(format!("tc_{index}"), "Do it.").simulator("espocrm");
        builder =
            builder.testcase(if index % 2 == 0 { testcase.expects_output(json!({})) } else { testcase });
    }
    let fake = builder.start();
    let plato = fake.client();
    let filter = TestcaseFilter {
        scoring_config_type: Some(ScoringType::Output),
        page: 2,
        page_size: 2,
        ..TestcaseFilter::default()
    };
    let page = plato.testcases(&filter).await.unwrap();
    assert_eq!((page.pagination.total_count, page.pagination.total_pages), (3, 2));
    assert_eq!(page.testcases.iter().map(|case| case.public_id.as_str()).collect::<Vec<_>>(), ["tc_4"]);
    assert_eq!(
        plato.simulator_artifacts("espocrm", true).await.unwrap().artifacts[0].artifact_id,
        "art-espocrm"
    );
    assert_eq!(plato.artifact("nothing").await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_snapshot_becomes_an_artifact_that_a_session_starts_from() {
    let fake = FakePlato::start();
    let plato = fake.client();
    let session = plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await.unwrap();
    let snapshots = session.snapshot(SnapshotKind::Store, &SnapshotOptions::default()).await.unwrap();
    let id = snapshots["desktop"].artifact_id.clone().unwrap();
    let artifact = plato.wait_for_artifact(&id, Duration::from_secs(9)).await.unwrap();
    assert_eq!(artifact.simulator_name.as_deref(), Some("ubuntu-vm"));
    let other = plato.session().artifacts([id]).start().await.unwrap();
    assert!(other.environments()[0].alias().starts_with("env-"));
    other.desktop().unwrap().status().await.unwrap();
}
