//! The playground in a real browser: headless Chromium, driven by the scripts in `tests/browser/`.

mod tools;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use platools::{Platools, SecretSource, Tool};
use platools_dev::{ConnectedEntity, DevPlatform};
use platools_toolkit::Layout;
use platools_toolkit::testing::{RunOptions, Suite, run};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::interop::node_packages;
use crate::support::{ALONE, Running};

/// No browser takes longer; it only ends a test that hangs.
const GUARD: Duration = Duration::from_secs(900);

/// How many tools the second entity has.
const CROWD: usize = 10_000;

/// The hosts that the script starts and stops.
struct Stage {
    platform: Arc<DevPlatform>,
    host: Option<Running>,
    crowd: Option<Running>,
}

impl Stage {
    /// A host that reads its secret anew, as one with a secret file does.
    fn start(&self, entity: &str, tools: Vec<Tool>) -> Running {
        let seat: ConnectedEntity = self.platform.entity_in(entity, "dev").unwrap();
        let url = seat.url();
        let secret = SecretSource::callback(move || Ok(seat.secret().expose().to_owned()));
        let builder = Platools::builder().url(url).secret_source(secret).tools(tools);
        Running::start(builder.heartbeat_interval(Duration::from_secs(1)).build().unwrap())
    }

    async fn stop(running: Option<Running>) {
        if let Some(running) = running {
            running.handle.shutdown().await;
            // A host that stands by ends as well.
            let _ = running.ended().await;
        }
    }

    /// Does what a line of the script asks for.
    async fn act(&mut self, order: &str) {
        match order {
            "host start" => self.host = Some(self.start("local", tools::all())),
            "host stop" => Self::stop(self.host.take()).await,
            "crowd start" => self.crowd = Some(self.start("crowd", tools::crowd(CROWD))),
            "platform restart" => self.platform.restart().await.unwrap(),
            other => match other.strip_prefix("cases ") {
                Some(file) => pass(&std::fs::read_to_string(file).unwrap()).await,
                None => panic!("the script asks for `{other}`"),
            },
        }
    }
}

/// Runs cases as the page copies them against the same tools, without the platform.
async fn pass(cases: &str) {
    let suite = Suite::from_yaml(cases).unwrap();
    let local = Platools::builder().tools(tools::all()).build_local().unwrap();
    let report = run(&local, &suite, &RunOptions::default(), |_| {}).await;
    assert_eq!(report.exit_code(), 0, "{}\n{cases}", report.text(Layout::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_works_in_a_browser() {
    let Some(driver) = node_packages("browser") else { return };
    let _alone = ALONE.lock().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let options =
        DevPlatform::options().entity_with_random_secret("local").entity_with_random_secret("crowd");
    // Faults drop connections more often than a platform would let a host register.
    let platform = Arc::new(options.registrations_per_minute(1000).start().await.unwrap());
    let mut stage = Stage { platform: Arc::clone(&platform), host: None, crowd: None };

    let pictures = root.join("target/browser");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut script = Command::new("node")
        .arg(root.join("tests/browser/run.mjs"))
        .env("PLAYGROUND_URL", platform.http_url())
        .env("PLAYGROUND_LINK", platform.playground_url())
        .env("PLAYGROUND_TOKEN", platform.api_token().expose())
        .env("PLAYGROUND_DRIVER", driver)
        .env("PLAYGROUND_PICTURES", pictures)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node is installed with the driver");
    let mut answers = script.stdin.take().unwrap();
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let run = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            match line.strip_prefix("@ ") {
                Some(order) => {
                    stage.act(order).await;
                    answers.write_all(b"done\n").await.unwrap();
                }
                None => println!("{line}"),
            }
        }
        script.wait().await.unwrap()
    };
    let status = timeout(GUARD, run).await.expect("the browser comes to an end");
    assert!(status.success(), "the browser found something; see above");
}
