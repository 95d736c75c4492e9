//! An MCP server in place of a development platform: for `list` and `call` with a URL that has a path.

use std::time::{Duration, Instant};

use platools::ToolSpec;
use platools::tool::ToolErrorKind;
use platools_toolkit::cli::output::{Output, ToolLine, unknown_tool};
use platools_upstream::{Bearer, Client, UpstreamError};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::client::Target;

/// The variable with the token of a server that `serve --http` started.
const TOKEN: &str = "PLATOOLS_SERVE_TOKEN";

/// The keyword in an output schema that says that results are wrapped, as `FastMCP` names it.
const WRAPPED: &str = "x-fastmcp-wrap-result";

/// A server, and its tools.
pub(crate) struct Server {
    client: Client,
    /// As it is shown.
    at: String,
    tools: Vec<ToolSpec>,
}

impl Server {
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        for (option, value) in [("--entity", &target.entity), ("--env", &target.env)] {
            if value.is_some() {
                return Err(Failure::Usage(format!("an MCP server has no entities: leave out {option}")));
            }
        }
        let mut shown = target.url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        let at = shown.to_string();
        let variable = || std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        let token = target.token.clone().filter(|token| !token.is_empty()).or_else(variable);
        let bearer = token.map(Bearer::new).transpose().map_err(|error| Failure::Usage(error.to_string()))?;
        let problem = |error: UpstreamError| {
            let advice = match &error {
                UpstreamError::Refused(_) => ", in --token or PLATOOLS_SERVE_TOKEN",
                UpstreamError::NotMcp(_) => "; a URL without a path is that of a development platform",
                _ => "",
            };
            let problem = format!("{at}: {error}{advice}");
            match error {
                UpstreamError::Url(_)
                | UpstreamError::Bearer(_)
                | UpstreamError::Refused(_)
                | UpstreamError::NotMcp(_) => Failure::Usage(problem),
                _ => Failure::Failed(Some(problem)),
            }
        };
        let client = Client::connect_http(target.url.as_str(), bearer.as_ref()).await.map_err(problem)?;
        let tools = client.list_tools().await.map_err(problem)?;
        Ok(Self { client, at, tools })
    }

    /// Prints the tools that have all these words in name or description.
    pub(crate) async fn list(self, words: &str, as_json: bool, output: &Output) -> Result<(), Failure> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let has_all = |tool: &&ToolSpec| {
            let texts = [tool.name.to_lowercase(), tool.description.to_lowercase()];
            words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
        };
        let tools: Vec<&ToolSpec> = self.tools.iter().filter(has_all).collect();
        let printed = if as_json {
            output.json(&tools.iter().map(|tool| described(tool)).collect::<Vec<_>>())
        } else {
            if tools.is_empty() {
                output.note(if words.is_empty() {
                    "the server has no tools"
                } else {
                    "no tool has these words"
                });
            }
            let lines: Vec<_> =
                tools.iter().map(|tool| ToolLine::new(&tool.name, &tool.description)).collect();
            output.tools(&lines)
        };
        self.client.close().await;
        Ok(printed?)
    }

    pub(crate) async fn call(
        self,
        tool: &str,
        params: &str,
        time: Duration,
        as_json: bool,
        output: &Output,
    ) -> Result<(), Failure> {
        let arguments: Map<String, Value> =
            serde_json::from_str(params).map_err(|error| Failure::Usage(error.to_string()))?;
        let Some(known) = self.tools.iter().find(|known| known.name == tool) else {
            let names: Vec<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
            return Err(Failure::Usage(unknown_tool(tool, &names)));
        };
        let started = Instant::now();
        let answer = self.client.call_tool(tool, arguments, time).await;
        let latency_ms = started.elapsed().as_micros() as f64 / 1_000.0;
        self.client.close().await;
        match answer {
            Ok(Ok(result)) => {
                let result = bare(result.to_value(), known.output_schema.as_deref());
                Ok(if as_json {
                    output.json(&json!({"outcome": "result", "result": result, "latency_ms": latency_ms}))
                } else {
                    output.value(&result)
                }?)
            }
            Ok(Err(error)) => {
                let message = match error.kind() {
                    ToolErrorKind::Internal => "the tool failed".to_owned(),
                    _ => error.to_string(),
                };
                if as_json {
                    let outcome = json!({"outcome": "error", "message": message, "latency_ms": latency_ms});
                    output.json(&outcome)?;
                    return Err(Failure::Failed(None));
                }
                Err(Failure::Failed(Some(message)))
            }
            Err(error @ UpstreamError::Timeout(_)) if as_json => {
                let message = error.to_string();
                output
                    .json(&json!({"outcome": "timed_out", "message": message, "latency_ms": latency_ms}))?;
                Err(Failure::Failed(None))
            }
            Err(error) => Err(Failure::Failed(Some(format!("{}: {error}", self.at)))),
        }
    }
}

/// A result as a platform would get it. MCP wants objects: of anything else, a server makes a member of an object, or a
/// text with its JSON where it declares no schema.
fn bare(result: Value, schema: Option<&Value>) -> Value {
    let is_wrapped = schema.and_then(|schema| schema.get(WRAPPED)) == Some(&Value::Bool(true));
    match result {
        Value::Object(mut members) if is_wrapped && members.contains_key("result") => {
            members.remove("result").unwrap_or_default()
        }
        Value::String(text) if schema.is_none() => match serde_json::from_str(&text) {
            Ok(list @ Value::Array(_)) => list,
            _ => Value::String(text),
        },
        other => other,
    }
}

fn described(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "annotations": tool.annotations,
        "input_schema": *tool.input_schema,
        "output_schema": tool.output_schema.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_what_the_tool_returned() {
        let (wrapped, plain) = (json!({"type": "object", WRAPPED: true}), json!({"type": "object"}));
        for (result, schema, expected) in [
            (json!({"result": 42}), Some(&wrapped), json!(42)),
            (json!({"result": 42}), Some(&plain), json!({"result": 42})),
            (json!({"other": 42}), Some(&wrapped), json!({"other": 42})),
            (json!("[1, 2]"), None, json!([1, 2])),
            (json!("[1, 2]"), Some(&plain), json!("[1, 2]")),
            (json!("42"), None, json!("42")),
            (json!("[half"), None, json!("[half")),
        ] {
            assert_eq!(bare(result, schema), expected);
        }
    }
}
