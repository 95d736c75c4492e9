//! Getting the desktop's Chrome to answer: is it up, and bring it up (plato-api §8.6).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::desktop::{Desktop, devtools_port};
use crate::error::{Error, Result};

/// How long a Chrome that is started may take until it answers; Windows takes longer.
const START: Duration = Duration::from_secs(60);
const START_ON_WINDOWS: Duration = Duration::from_secs(90);

/// How often one is looked at that may be coming up by itself, and how often one that was started.
const LOOKS: u32 = 5;
const LOOK_PAUSE: Duration = Duration::from_secs(1);
const START_PAUSE: Duration = Duration::from_secs(2);

/// Printed on the machine if Chrome does not answer.
const NOTHING: &str = "__NO_CDP__";

/// Ends every Chrome. By its name, which the kernel cuts after 15 characters: by its command line, `pkill -f` would find
/// the shell that runs this, too, and end it. A profile has one Chrome, so that a new one gives way to one that is still
/// ending, or to the lock that it left.
const END: &str = "pkill -9 -x 'chrome|chromium|chromium-browse' 2>/dev/null; \
    for _ in $(seq 50); do pgrep -x 'chrome|chromium|chromium-browse' >/dev/null || break; sleep 0.2; done; \
    for part in Lock Socket Cookie; do rm -f /tmp/chrome-cdp-profile/Singleton$part; done";

/// A new Chrome, in the profile of the image's own. Its agent may be root, who has no sandbox. Machines wake with old
/// clocks and trust no certificate of today (plato-api §10.6); without `--test-type` a banner about the flag for that
/// would stand in every screenshot.
const LAUNCH: &str = "export DISPLAY=${DISPLAY:-:0}; nohup $(command -v google-chrome-stable || \
    command -v google-chrome || command -v chromium || command -v chromium-browser) --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --disable-features=PasswordManager,PasswordManagerOnboarding,PasswordLeakDetection \
    --no-first-run --no-default-browser-check --disable-default-apps --disable-popup-blocking --disable-translate \
    --disable-infobars --ignore-certificate-errors --test-type --start-maximized --window-size=1280,720 \
    --user-data-dir=/tmp/chrome-cdp-profile --remote-debugging-port=9225 about:blank >/tmp/plato-chrome.log 2>&1 &";

const END_ON_WINDOWS: &str =
    "Stop-Process -Name chrome -Force -ErrorAction SilentlyContinue; Start-Sleep -Seconds 2";

/// The agent has an administrator's rights, which its children would have too: a task with a limited run level starts
/// Chrome with those of the user. Without a limit of time, or the task would end it. No double quotes: the way to
/// PowerShell loses them.
const LAUNCH_ON_WINDOWS: &str = "$flags = '--remote-debugging-port=9225 --remote-allow-origins=* \
    --user-data-dir=C:\\plato\\chrome-cdp-profile --no-first-run --no-default-browser-check --disable-default-apps \
    --disable-popup-blocking --disable-session-crashed-bubble --hide-crash-restore-bubble \
    --ignore-certificate-errors --test-type --start-maximized about:blank'; \
    $start = New-ScheduledTaskAction -Argument $flags \
    -Execute 'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe'; \
    $user = New-ScheduledTaskPrincipal -UserId $env:USERNAME -LogonType Interactive -RunLevel Limited; \
    $limits = New-ScheduledTaskSettingsSet -ExecutionTimeLimit (New-TimeSpan) -MultipleInstances Parallel \
    -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries; \
    Register-ScheduledTask -TaskName 'platools-chrome' -Action $start -Principal $user -Settings $limits -Force \
    | Out-Null; Start-ScheduledTask -TaskName 'platools-chrome'";

fn probe(desktop: &Desktop, port: u16) -> String {
    let url = format!("http://localhost:{port}/json/version");
    if desktop.is_windows() {
        return format!(
            "try {{ (Invoke-WebRequest -UseBasicParsing -TimeoutSec 2 {url}).Content }} catch {{ '{NOTHING}' }}"
        );
    }
    format!("curl -sf --max-time 2 {url} 2>/dev/null || echo {NOTHING}")
}

/// Makes sure that the desktop's Chrome answers.
pub(super) async fn ensure(desktop: &Desktop) -> Result<()> {
    let question = probe(desktop, devtools_port());
    let is_up = async || -> Result<bool> {
        let said = desktop.bash(question.as_str()).await?.stdout;
        Ok(!said.trim().is_empty() && !said.contains(NOTHING))
    };
    if is_up().await? {
        return Ok(());
    }
    for _ in 0..LOOKS {
        sleep(LOOK_PAUSE).await;
        if is_up().await? {
            return Ok(());
        }
    }
    tracing::info!(desktop = desktop.alias(), "starting Chrome");
    let (end, launch, budget) = if desktop.is_windows() {
        (END_ON_WINDOWS, LAUNCH_ON_WINDOWS, START_ON_WINDOWS)
    } else {
        (END, LAUNCH, START)
    };
    let start = Instant::now();
    desktop.bash(end).await?;
    let complaint = desktop.bash(launch).await?.stderr;
    while !is_up().await? {
        if start.elapsed() >= budget {
            let log = if desktop.is_windows() { "" } else { ": look at /tmp/plato-chrome.log there" };
            let said = match complaint.trim() {
                "" => String::new(),
                text => format!(" ({})", crate::secrets::redact(text)),
            };
            let waited = budget.as_secs();
            return Err(Error::Browser(format!(
                "Chrome on the desktop does not answer {waited} s after it was started{said}{log}"
            )));
        }
        sleep(START_PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "testing")]
    #[tokio::test]
    async fn a_chrome_that_hangs_is_ended_by_its_name_and_a_new_one_answers() {
        let fake = crate::testing::FakePlato::builder().chrome_hangs().start();
        let env = crate::types::Env::simulator("ubuntu-vm").alias("d");
        let session = fake.client().session().env(env).start().await.unwrap();
        let desktop = session.desktop().unwrap();
        let question = probe(&desktop, devtools_port());
        let answer = async || desktop.bash(question.as_str()).await.unwrap().stdout;
        assert_eq!(answer().await.trim(), NOTHING);
        // As long as the old one is there, a new one gives way to it.
        desktop.bash(LAUNCH).await.unwrap();
        assert_eq!(answer().await.trim(), NOTHING);
        for line in [END, LAUNCH] {
            let ran = desktop.bash(line).await.unwrap();
            assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
        }
        assert!(answer().await.contains("Protocol-Version"));
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_ends_chrome_by_its_name_waits_and_removes_its_locks() {
        let ran = crate::stub_shell::run(END, &[("pkill", 0), ("seq", 0), ("pgrep", 1), ("rm", 0)]);
        let names = "chrome|chromium|chromium-browse";
        let locks =
            ["Lock", "Socket", "Cookie"].map(|lock| format!("rm -f /tmp/chrome-cdp-profile/Singleton{lock}"));
        let expected = format!("pkill -9 -x {names}\nseq 50\npgrep -x {names}\n{}\n", locks.join("\n"));
        assert_eq!(ran, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_starts_chrome_by_the_first_of_its_names_that_there_is() {
        let ran = crate::stub_shell::run(LAUNCH, &[("nohup", 0), ("chromium", 0), ("google-chrome", 0)]);
        let (program, flags) = ran.trim().split_once(" --no-sandbox ").unwrap();
        assert!(program.starts_with("nohup /") && program.ends_with("/google-chrome"), "{program}");
        assert!(flags.ends_with("--remote-debugging-port=9225 about:blank"), "{flags}");
    }

    #[test]
    fn on_windows_chrome_has_the_rights_of_the_user_and_its_quotes_arrive() {
        assert!(LAUNCH_ON_WINDOWS.contains("-RunLevel Limited") && !LAUNCH_ON_WINDOWS.contains('"'));
        for flag in ["--test-type", "--ignore-certificate-errors", "\\plato\\chrome-cdp-profile "] {
            assert!(LAUNCH_ON_WINDOWS.contains(flag), "{flag}");
        }
    }
}
