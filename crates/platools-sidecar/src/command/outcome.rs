//! What a program left, as a tool's result: its output, or what its exit code means.

use std::collections::BTreeMap;

use platools::{ToolError, ToolOutput};
use platools_net::ration::Ration;
use serde_json::value::RawValue;

use crate::config::Format;
use platools::tool::shortened;

/// The longest piece of a program's complaints that the model reads, in characters.
const MAX_COMPLAINT: usize = 1_000;

/// How what a program leaves becomes a result.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) format: Format,
    /// What exit codes mean, beside 0.
    pub(crate) exit: BTreeMap<i32, Meaning>,
    /// Limits the log lines about runs that failed.
    pub(crate) logged: Ration,
}

/// What an exit code means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The output is the result.
    Fine,
    /// A failure, in these words; `{stderr}` is the end of what the program complained.
    Failure(String),
}

impl Reading {
    /// The result of a program that ended by itself; `code` is `None` when a signal ended it.
    ///
    /// # Errors
    /// When the exit code says so, or the output is not what it should be.
    pub(crate) fn result(
        &self,
        code: Option<i32>,
        stdout: &[u8],
        stderr: &str,
    ) -> Result<ToolOutput, ToolError> {
        let complaint = || {
            let text = stderr.trim();
            let skipped = text.chars().count().saturating_sub(MAX_COMPLAINT);
            text.chars().skip(skipped).collect::<String>()
        };
        let log = |what| {
            if let Some(left_out) = self.logged.line() {
                let left_out = (left_out > 0).then_some(left_out);
                tracing::warn!(code, stderr = complaint(), left_out, "{what}");
            }
        };
        let Some(code) = code else {
            log("a program was ended by a signal");
            return Err(ToolError::user("the program was ended by a signal"));
        };
        match self.exit.get(&code) {
            None if code == 0 => self.output(stdout),
            Some(Meaning::Fine) => self.output(stdout),
            Some(Meaning::Failure(text)) => Err(ToolError::user(text.replace("{stderr}", &complaint()))),
            None => {
                log("a program failed");
                Err(ToolError::user(format!("the program failed with exit code {code}")))
            }
        }
    }

    fn output(&self, stdout: &[u8]) -> Result<ToolOutput, ToolError> {
        let text = String::from_utf8_lossy(stdout);
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Ok(if self.format == Format::Text { ToolOutput::text("") } else { ToolOutput::null() });
        }
        match (self.format, serde_json::from_str::<&RawValue>(text)) {
            (Format::Auto | Format::Json, Ok(value)) => ToolOutput::json(value),
            (Format::Json, Err(_)) => {
                let begin = shortened(text, 80);
                Err(ToolError::user(format!("the program's output is not JSON; it begins with {begin:?}")))
            }
            (Format::Auto | Format::Text, _) => Ok(ToolOutput::text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn result(format: Format, code: i32, stdout: &str, stderr: &str) -> Result<Value, String> {
        let exit = BTreeMap::from([
            (1, Meaning::Failure("nothing was found: {stderr}".to_owned())),
            (2, Meaning::Fine),
        ]);
        let reading = Reading { format, exit, logged: Ration::default() };
        let result = reading.result(Some(code), stdout.as_bytes(), stderr);
        result.map(|output| output.to_value()).map_err(|error| error.to_string())
    }

    #[test]
    fn output_is_json_or_text_as_the_file_says() {
        assert_eq!(result(Format::Auto, 0, "{\"a\": 1}\n", ""), Ok(json!({"a": 1})));
        assert_eq!(result(Format::Auto, 0, "one\ntwo\n", ""), Ok(json!("one\ntwo")));
        assert_eq!(result(Format::Text, 0, "[1]", ""), Ok(json!("[1]")));
        assert_eq!(result(Format::Auto, 0, "", ""), Ok(json!(null)));
        assert_eq!(
            result(Format::Json, 0, "one two", ""),
            Err("the program's output is not JSON; it begins with \"one two\"".to_owned())
        );
    }

    #[test]
    fn exit_codes_mean_what_the_file_says() {
        assert_eq!(result(Format::Auto, 2, "5", ""), Ok(json!(5)));
        assert_eq!(result(Format::Auto, 1, "5", " gone \n"), Err("nothing was found: gone".to_owned()));
        assert_eq!(
            result(Format::Auto, 3, "5", "secret"),
            Err("the program failed with exit code 3".to_owned())
        );
        let long = result(Format::Auto, 1, "", &"é".repeat(5_000)).unwrap_err();
        assert!(long.chars().count() < 1_100, "{}", long.len());
        let reading = Reading { format: Format::Auto, exit: BTreeMap::new(), logged: Ration::default() };
        let killed = reading.result(None, &[], "");
        assert!(killed.unwrap_err().to_string().contains("signal"));
    }
}
