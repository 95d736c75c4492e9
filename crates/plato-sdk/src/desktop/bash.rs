//! Commands on a desktop (plato-api §8.4).

use std::time::Duration;

use serde_json::json;

use super::cut::cut;
use super::handle::Desktop;
use crate::error::Result;
use crate::http::Repeat;

/// The most of an output that is handed over, in characters, and how much of that what was complained about may take.
const MAX_OUTPUT: usize = 100_000;
const MAX_COMPLAINTS: usize = 25_000;

/// A command for a desktop's shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BashRequest {
    command: String,
    timeout: Duration,
    restart: bool,
}

impl BashRequest {
    /// A command, which has two minutes.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), timeout: Duration::from_secs(120), restart: false }
    }

    /// How long it may take, in whole seconds.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// A new shell in place of the one that there is.
    pub fn restart() -> Self {
        Self { restart: true, ..Self::new("") }
    }
}

impl From<&str> for BashRequest {
    fn from(command: &str) -> Self {
        Self::new(command)
    }
}

impl From<String> for BashRequest {
    fn from(command: String) -> Self {
        Self::new(command)
    }
}

/// The output of a command. The agent does not report the exit code: if it matters, print it, as in
/// `make; echo "exit code $?"`, or use [`Environment::execute`](crate::Environment::execute).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BashOutput {
    /// Standard output, at most 100 000 characters together with standard error.
    pub stdout: String,
    /// Standard error, at most 25 000 characters. Successful commands may write to it, too.
    pub stderr: String,
    /// Whether something was cut out of the middle; a notice stands in its place.
    pub truncated: bool,
}

impl BashOutput {
    fn new(stdout: &str, stderr: &str) -> Self {
        let (stderr, complaints_cut) = cut(stderr, MAX_COMPLAINTS);
        let (stdout, output_cut) = cut(stdout, MAX_OUTPUT - stderr.chars().count());
        Self { stdout, stderr, truncated: complaints_cut || output_cut }
    }

    /// Both as one text, what was complained about last.
    ///
    /// ```
    /// # async fn run(desktop: plato_sdk::Desktop) -> plato_sdk::Result<()> {
    /// println!("{}", desktop.bash("cat /etc/os-release").await?.text());
    /// # Ok(()) }
    /// ```
    pub fn text(&self) -> String {
        let mut text = self.stdout.clone();
        if !text.is_empty() && !text.ends_with('\n') && !self.stderr.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.stderr);
        text
    }
}

impl Desktop {
    /// Runs a command in the desktop's shell, PowerShell on Windows. Whether the shell remembers its folder from one
    /// command to the next is the agent's affair: write `cd … && …`. A command that may have reached the desktop is
    /// never sent twice.
    ///
    /// # Errors
    /// When the desktop cannot be reached or says no. A command that fails is no error.
    pub async fn bash(&self, request: impl Into<BashRequest>) -> Result<BashOutput> {
        let request = request.into();
        let body = json!({
            "command": request.command,
            "restart": request.restart,
            "timeout": request.timeout.as_secs().max(1),
        });
        let result = self.agent.tool("POST /bash", &body, Repeat::IfUnsent, request.timeout).await?;
        let (output, error) = (result.output.unwrap_or_default(), result.error.unwrap_or_default());
        Ok(BashOutput::new(&output, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_outputs_lose_their_middle_and_say_so() {
        let output = BashOutput::new(&"é".repeat(200_000), &"!".repeat(30_000));
        assert!(output.truncated);
        assert_eq!(output.stderr.chars().count(), MAX_COMPLAINTS);
        assert_eq!(output.stdout.chars().count() + output.stderr.chars().count(), MAX_OUTPUT);
        assert!(output.stdout.contains("200000 characters, of which the middle is left out"));
        assert!(output.stdout.starts_with("ééé") && output.stdout.ends_with("ééé"));
        let short = BashOutput::new("a", "b");
        assert_eq!((short.text().as_str(), short.truncated), ("a\nb", false));
    }
}
