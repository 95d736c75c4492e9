//! The statements of Plato's concepts page on sessions, desktops and scoring: one test for each, named after it.

use std::time::Duration;

use plato_sdk::testing::{FakePlato, FakeTestcase, SessionEnd};
use plato_sdk::{Action, EditCommand, Env, Error, LoginOptions, ScoringType, Session};
use serde_json::json;

use super::chromium::Chromium;

const WAIT: Duration = Duration::from_secs(30);

/// A testcase of a desktop and an app, scored by a change and an answer.
fn testcase() -> FakeTestcase {
    FakeTestcase::new("tc_1", "Save a note, and say so.")
        .simulator("ubuntu-vm")
        .simulator("espocrm")
        .expects_mutation("notes", "INSERT")
        .expects_output(json!({"saved": true}))
}

fn fake() -> FakePlato {
    FakePlato::builder().testcase(testcase()).start()
}

async fn envs(fake: &FakePlato) -> Session {
    let envs = [Env::simulator("ubuntu-vm").alias("desktop"), Env::simulator("espocrm").alias("crm")];
    fake.client().session().envs(envs).start().await.unwrap()
}

/// Saves a note on the desktop, which is a change of its data.
async fn save_a_note(session: &Session) {
    let desktop = session.desktop().unwrap();
    desktop.perform(Action::Type { text: "milk".into() }).await.unwrap();
    desktop.perform(Action::Key { keys: "ctrl+s".into() }).await.unwrap();
}

#[tokio::test]
async fn one_artifact_boots_one_environment_and_a_sim_has_a_name_artifacts_and_a_flag_for_desktops() {
    let fake = fake();
    let plato = fake.client();
    let session = plato.session().artifacts(["art-ubuntu-vm", "art-espocrm"]).start().await.unwrap();
    let envs = session.environments();
    let made: Vec<_> = envs
        .iter()
        .map(|env| (env.artifact_id().unwrap(), env.simulator().unwrap(), env.is_desktop()))
        .collect();
    assert_eq!(made, [("art-ubuntu-vm", "ubuntu-vm", true), ("art-espocrm", "espocrm", false)]);
    assert_ne!(envs[0].job_id(), envs[1].job_id());
    let versions = plato.simulator_artifacts("espocrm", false).await.unwrap();
    assert_eq!((versions.simulator_name.as_str(), versions.artifacts.len()), ("espocrm", 1));
}

#[tokio::test]
async fn a_sims_name_boots_its_example_which_may_be_missing_or_change_and_an_artifact_id_is_reproducible() {
    let fake = fake();
    let plato = fake.client();
    let made_of = async |env: Env| {
        let session = plato.session().env(env).start().await?;
        let env = session.environments().remove(0);
        Ok::<_, Error>(env.artifact_id().unwrap_or_default().to_owned())
    };
    fake.example("espocrm", Some("art-espocrm"));
    assert_eq!(made_of(Env::simulator("espocrm")).await.unwrap(), "art-espocrm");
    fake.example("espocrm", Some("art-espocrm-2"));
    assert_eq!(made_of(Env::simulator("espocrm")).await.unwrap(), "art-espocrm-2");
    fake.example("espocrm", None);
    let error = made_of(Env::simulator("espocrm").alias("crm")).await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be created: crm: espocrm has no example artifact");
    assert_eq!(made_of(Env::artifact("art-espocrm")).await.unwrap(), "art-espocrm");
}

#[tokio::test]
async fn environments_of_a_session_are_reset_evaluated_and_torn_down_together_and_reach_each_other_by_alias()
{
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").network(true).start().await.unwrap();
    let reset = session.reset_each().await.unwrap();
    assert_eq!(reset.keys().collect::<Vec<_>>(), ["desktop", "espocrm"]);
    assert_eq!(session.state().await.unwrap().len(), 2);
    session.evaluate(None).await.unwrap();
    let crm = session.environment("espocrm").unwrap();
    assert_eq!(crm.internal_hostname(), "espocrm.plato.internal");
    let desktop = session.environment("desktop").unwrap();
    let hosts = desktop.execute("cat /etc/hosts", WAIT).await.unwrap().stdout;
    assert!(hosts.lines().any(|line| line.ends_with(" espocrm.plato.internal")), "{hosts}");
    session.close().await.unwrap();
    assert_eq!(fake.session_end(session.id()), Some(SessionEnd::Closed));
    assert!(matches!(crm.state(None).await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_desktop_has_the_calls_of_an_app_sim_and_status_computer_bash_edit_and_login_on_the_machine_itself()
{
    let fake = fake();
    let session = envs(&fake).await;
    for alias in ["desktop", "crm"] {
        let env = session.environment(alias).unwrap();
        env.reset().await.unwrap();
        env.state(None).await.unwrap();
        env.info().await.unwrap();
        assert_eq!(env.execute("echo hi", WAIT).await.unwrap().stdout, "hi\n");
        env.public_url(None).await.unwrap();
    }
    let desktop = session.environment("desktop").unwrap().desktop().unwrap();
    desktop.status().await.unwrap();
    desktop.perform(Action::Type { text: "milk".into() }).await.unwrap();
    let path = "/tmp/list.txt";
    desktop.edit(&EditCommand::Create { path: path.into(), text: "eggs\n".into() }).await.unwrap();
    // It is one machine, whichever way it is asked.
    assert_eq!(desktop.bash(format!("cat {path}")).await.unwrap().stdout, "eggs\n");
    let env = session.environment("desktop").unwrap();
    assert_eq!(env.execute(&format!("cat {path}"), WAIT).await.unwrap().stdout, "eggs\n");
    assert_eq!(fake.typed_text(env.job_id()), "milk");
    let only = LoginOptions { alias: Some("crm".into()), retries: 0, ..LoginOptions::default() };
    // As far as the double has a browser.
    assert!(!matches!(session.login(&only).await, Err(Error::NoEnvironment(_) | Error::InvalidInput(_))));
    let error = session.environment("crm").unwrap().desktop().unwrap_err();
    assert!(matches!(error, Error::NoEnvironment(_)), "{error}");
}

#[tokio::test]
async fn reset_begins_the_record_then_login_whose_mutations_are_in_it_then_the_agent_then_evaluate_and_close()
{
    let Some(chromium) = Chromium::start().await else { return };
    let fake = FakePlato::builder().testcase(testcase()).chrome(chromium.address()).start();
    fake.flows(
        "espocrm",
        json!([{"name": "login", "steps": [
            {"type": "fill", "selector": "#user", "value": "admin"},
            {"type": "fill", "selector": "#password", "value": "password"},
            {"type": "click", "selector": "button"},
            {"type": "verify_text", "text": "Home"},
        ]}]),
    );
    let request = fake.client().session().testcase("tc_1").login(LoginOptions::default());
    let session = request.start().await.unwrap();
    let tables = async || {
        let mut tables = Vec::new();
        for state in session.state().await.unwrap().into_values() {
            tables.extend(state.mutations().into_iter().filter_map(|mutation| mutation.table));
        }
        tables
    };
    assert_eq!(tables().await, ["logins"]);
    save_a_note(&session).await;
    assert_eq!(tables().await, ["notes", "logins"]);
    let scored = session.evaluate(Some(&json!({"saved": true}))).await.unwrap();
    assert_eq!(scored.correct, Some(true));
    session.close().await.unwrap();
    assert!(matches!(session.state().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_session_of_a_testcase_has_its_environments_is_linked_and_reset_and_evaluate_works_without_more() {
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let aliases: Vec<_> = session.environments().iter().map(|env| env.alias().to_owned()).collect();
    assert_eq!(aliases, ["desktop", "espocrm"]);
    assert_eq!(session.task_public_id().as_deref(), Some("tc_1"));
    save_a_note(&session).await;
    let scored = session.evaluate(Some(&json!({"saved": true}))).await.unwrap();
    assert_eq!((scored.correct, scored.score), (Some(true), Some(1.0)));
    assert_eq!(fake.count("POST", "/sessions/*/link-testcase"), 0);
}

#[tokio::test]
async fn a_session_of_environments_needs_a_reset_and_a_linked_testcase_before_evaluate_scores() {
    let fake = fake();
    let session = envs(&fake).await;
    let answer = json!({"saved": true});
    assert_eq!(session.evaluate(Some(&answer)).await.unwrap().score, None);
    session.link_testcase("tc_1").await.unwrap();
    let scored = session.evaluate(Some(&answer)).await.unwrap();
    assert!(scored.score.is_none() && scored.reason.unwrap().contains("not reset"));
    session.reset().await.unwrap();
    save_a_note(&session).await;
    assert_eq!(session.evaluate(Some(&answer)).await.unwrap().score, Some(1.0));
}

#[tokio::test]
async fn state_flushes_pending_writes_and_has_the_mutations_since_the_reset_and_evaluate_does_that_by_itself()
{
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    save_a_note(&session).await;
    let states = session.state().await.unwrap();
    assert_eq!((states["desktop"].mutations().len(), states["espocrm"].mutations().len()), (1, 0));
    session.reset().await.unwrap();
    assert!(session.state().await.unwrap()["desktop"].mutations().is_empty());
    // The double scores what is written down; nobody has asked for the state since.
    save_a_note(&session).await;
    assert_eq!(session.evaluate(Some(&json!({"saved": true}))).await.unwrap().correct, Some(true));
}

#[tokio::test]
async fn mutation_scoring_compares_changes_output_scoring_wants_an_object_and_a_testcase_may_use_both() {
    let changes =
        FakeTestcase::new("tc_m", "Save.").simulator("ubuntu-vm").expects_mutation("notes", "INSERT");
    let answer =
        FakeTestcase::new("tc_o", "Say.").simulator("ubuntu-vm").expects_output(json!({"saved": true}));
    let builder = FakePlato::builder().testcase(changes).testcase(answer).testcase(testcase());
    let fake = builder.start();
    let plato = fake.client();
    for (id, wish) in [
        ("tc_m", &[ScoringType::Mutation][..]),
        ("tc_o", &[ScoringType::Output]),
        ("tc_1", &[ScoringType::Mutation, ScoringType::Output]),
    ] {
        let session = plato.session().testcase(id).start().await.unwrap();
        let before = session.evaluate(Some(&json!({"saved": false}))).await.unwrap();
        assert_eq!((before.correct, before.scored_by()), (Some(false), wish.to_vec()), "{id}");
        save_a_note(&session).await;
        let after = session.evaluate(Some(&json!({"saved": true}))).await.unwrap();
        assert_eq!(after.correct, Some(true), "{id}");
        let error = session.evaluate(Some(&json!(["saved"]))).await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    }
}

#[tokio::test]
async fn public_urls_are_of_apps_one_per_alias_and_liveview_is_of_desktops_and_never_waits_for_the_network() {
    let fake = fake();
    let session = envs(&fake).await;
    let urls = session.public_urls(None).await.unwrap();
    assert!(urls["crm"].as_ref().unwrap().expose().contains("/_app/"));
    assert_eq!(urls.keys().collect::<Vec<_>>(), ["crm", "desktop"]);
    let before = fake.requests().len();
    let url = session.desktop().unwrap().liveview_url();
    assert!(url.expose().contains("/6080") && url.expose().ends_with("resize=scale&autoconnect=true"));
    assert_eq!(fake.requests().len(), before);
}

#[tokio::test]
async fn login_has_two_forms_a_desktops_own_and_one_that_takes_a_browser_for_app_sims() {
    let Some(chromium) = Chromium::start().await else { return };
    let fake = FakePlato::builder().testcase(testcase()).chrome(chromium.address()).start();
    let browser = plato_sdk::Browser::connect(&format!("http://{}", chromium.address())).await.unwrap();
    let fast = LoginOptions { fast: true, ..LoginOptions::default() };
    let desk = envs(&fake).await;
    // Without a flow there is nothing to log in to; the pages are open.
    assert_eq!(desk.login(&fast).await.unwrap().pages.len(), 1);
    assert!(matches!(desk.login_in(&browser, &fast).await, Err(Error::InvalidInput(_))));
    let apps = fake.client().session().env(Env::simulator("espocrm").alias("crm")).start().await.unwrap();
    assert_eq!(apps.login_in(&browser, &fast).await.unwrap().pages.len(), 1);
    assert!(matches!(apps.login(&fast).await, Err(Error::NoEnvironment(_))));
}

#[test]
fn every_call_can_be_made_from_synchronous_code_by_its_name_and_liveviews_address_needs_no_runtime() {
    let fake = fake();
    let plato = fake.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let session = runtime.block_on(plato.session().testcase("tc_1").start()).unwrap();
    runtime.block_on(session.reset()).unwrap();
    let desktop = session.desktop().unwrap();
    runtime.block_on(desktop.screenshot()).unwrap();
    // Heartbeats and the closing do not need the runtime, either.
    drop(runtime);
    assert!(desktop.liveview_url().expose().contains("/6080"));
    drop((desktop, session, plato));
    assert!(fake.open_sessions().is_empty());
}
