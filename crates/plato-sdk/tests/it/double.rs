//! The double itself: what tests of other crates rely on.

use std::time::Duration;

use plato_sdk::testing::{BashReply, FakePlato, Fault};
use plato_sdk::{BashOutput, Desktop, Env, Session};

async fn start(fake: &FakePlato) -> (Session, Desktop) {
    let session = fake.client().session().env(Env::simulator("ubuntu-vm").alias("d")).start().await.unwrap();
    let desktop = session.desktop().unwrap();
    (session, desktop)
}

#[tokio::test]
async fn the_last_script_that_knows_a_command_answers_it_and_else_the_double_does() {
    let fake = FakePlato::start();
    let (session, desktop) = start(&fake).await;
    fake.on_bash(|command| command.starts_with("make").then(|| BashReply::new("built\n")));
    fake.on_bash(|command| (command == "make test").then(|| BashReply::new("").stderr("no rule\n").exit(2)));
    let said = async |command: &str| {
        let BashOutput { stdout, stderr, .. } = desktop.bash(command).await.unwrap();
        (stdout, stderr)
    };
    assert_eq!(said("make").await, ("built\n".to_owned(), String::new()));
    assert_eq!(said("make test").await, (String::new(), "no rule\n".to_owned()));
    assert_eq!(said("echo hi").await, ("hi\n".to_owned(), String::new()));
    let (stdout, stderr) = said("ls | wc -l").await;
    assert!(stdout.is_empty() && stderr.contains("`on_bash`"), "{stderr}");
    let env = session.environment("d").unwrap();
    assert_eq!(env.execute("make test", Duration::from_secs(9)).await.unwrap().exit_code, 2);
}

#[tokio::test]
async fn a_command_that_ends_its_own_shell_runs_no_further() {
    let fake = FakePlato::builder().chrome_hangs().start();
    let (session, _) = start(&fake).await;
    let env = session.environment("d").unwrap();
    let run = async |command: &str| env.execute(command, Duration::from_secs(9)).await.unwrap();
    let line = "pkill -f remote-debugging-port; rm -f /tmp/chrome-cdp-profile/SingletonLock";
    assert_eq!(run(line).await.exit_code, 143);
    assert_eq!(run(&line.replace("-f remote", "-f [r]emote")).await.exit_code, 0);
}

#[tokio::test]
async fn orders_are_carried_out_one_after_the_other_and_requests_are_kept() {
    let fake = FakePlato::start();
    fake.fail(Fault::on("GET /artifacts/*").status(404).skip(1));
    let plato = fake.client();
    plato.artifact("art-a").await.unwrap();
    assert_eq!(plato.artifact("art-a").await.unwrap_err().status(), Some(404));
    plato.artifact("art-a").await.unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].header("x-api-key"), Some(fake.api_key().as_str()));
    assert!(requests[0].header("user-agent").unwrap().starts_with("platools-rs/"));
}

#[tokio::test]
async fn a_desktop_is_asked_without_the_key_and_on_a_connection_of_its_own() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(Env::simulator("ubuntu-vm")).start().await.unwrap();
    session.desktop().unwrap().screenshot().await.unwrap();
    let asked = fake.requests().into_iter().find(|request| request.is("POST", "/computer")).unwrap();
    assert_eq!((asked.header("x-api-key"), asked.header("authorization")), (None, None));
}
