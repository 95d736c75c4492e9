//! The machine's Chromium, for tests of what happens in a real browser.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// A Chromium that ends with the test.
pub(crate) struct Chromium {
    address: String,
    _child: Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts one, or says loudly that there is none.
    pub(crate) async fn start() -> Option<Self> {
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
        if !std::path::Path::new(&program).exists() {
            let hint = "this test needs a Chromium: install it, or name it by CHROMIUM";
            assert!(std::env::var_os("PLATOOLS_INTEROP").is_none_or(|value| value != "required"), "{hint}");
            // Written past the capture of a test that passes, or nobody would see it.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {hint}");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--no-proxy-server", "--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let file = profile.path().join("DevToolsActivePort");
        let port = async {
            loop {
                // The file is there before its lines are.
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if let Some((port, _)) = text.split_once('\n') {
                    return port.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let port =
            tokio::time::timeout(Duration::from_secs(60), port).await.expect("Chromium does not start");
        Some(Self { address: format!("127.0.0.1:{port}"), _child: child, _profile: profile })
    }

    /// Where its `DevTools` listen.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}
