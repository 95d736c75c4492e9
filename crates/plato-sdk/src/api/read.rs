//! Reads what came: JSON of a type, or why there is none (plato-api §3).

use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{ApiError, Error};
use crate::http::Answer;
use crate::secrets::redact;

/// The most of a server's own words that an error repeats, in characters.
const MAX_MESSAGE: usize = 300;

/// The value in an answer.
///
/// # Errors
/// When the status is not a success, or the body is not what was expected.
pub(crate) fn read_json<T: DeserializeOwned>(operation: &'static str, answer: &Answer) -> Result<T, Error> {
    if !(200..300).contains(&answer.status) {
        return Err(refusal(operation, answer).into());
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let problem = match answer.body.trim_ascii_start().first() {
            None => "nothing, where JSON was expected".to_owned(),
            Some(b'<') => {
                "HTML instead of JSON: is the base URL Plato's, and is no proxy in between?".to_owned()
            }
            // Line and column of a body that nobody sees help nobody; its values may be ids.
            Some(_) if error.is_data() => format!("JSON of another form ({})", plainly(&error)),
            Some(_) => "something that is not JSON".to_owned(),
        };
        Error::UnexpectedAnswer { operation, problem }
    })
}

fn plainly(error: &serde_json::Error) -> String {
    let text = error.to_string();
    redact(text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text))
}

fn refusal(operation: &'static str, answer: &Answer) -> ApiError {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let message = match &body {
        Some(Value::Object(fields)) => ["message", "error", "detail"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .map(words)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        Some(Value::String(text)) => text.clone(),
        _ if is_page(answer) => "a page of HTML".to_owned(),
        _ => String::from_utf8_lossy(&answer.body).trim().to_owned(),
    };
    let mut message = redact(&message);
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    let retry_after = platools_net::retry_after(&answer.headers, SystemTime::now());
    let is_missing_route = answer.status == 404 && (is_page(answer) || body.as_ref() == Some(&no_route()));
    ApiError {
        operation,
        status: answer.status,
        message,
        retry_after,
        is_missing_route,
        body: body.map(Box::new),
    }
}

/// The body of the 404 of a path that the server does not have: that of `FastAPI`, on which Plato is built.
fn no_route() -> Value {
    json!({"detail": "Not Found"})
}

fn is_page(answer: &Answer) -> bool {
    answer.body.trim_ascii_start().starts_with(b"<")
}

/// A message in whichever form it comes: a text, an object with one, or `FastAPI`'s list of problems.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(problems) => {
            let texts: Vec<_> = problems
                .iter()
                .map(|problem| {
                    let place: Vec<_> = problem["loc"].as_array().into_iter().flatten().map(plain).collect();
                    let text = problem["msg"].as_str().map_or_else(|| problem.to_string(), str::to_owned);
                    if place.is_empty() { text } else { format!("{}: {text}", place.join(".")) }
                })
                .collect();
            texts.join("; ")
        }
        Value::Object(fields) => {
            fields.get("message").or_else(|| fields.get("msg")).map(words).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Made {
        #[allow(dead_code, reason = "only its presence counts")]
        session_id: String,
    }

    fn read(status: u16, body: &str) -> String {
        let answer = Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
        read_json::<Made>("POST /x", &answer).unwrap_err().to_string()
    }

    #[test]
    fn an_answer_that_is_none_is_told_by_what_it_is() {
        for (body, part) in [
            ("", "nothing, where JSON was expected"),
            ("\n <html>", "HTML instead of JSON"),
            ("{", "not JSON"),
            ("{}", "missing field `session_id`"),
            ("{\"session_id\": 7}", "invalid type"),
        ] {
            let error = read(200, body);
            assert!(error.contains(part) && !error.contains("line"), "{body}: {error}");
        }
    }

    #[test]
    fn a_refusal_has_the_servers_words_in_whichever_form_they_come() {
        for (body, part) in [
            (r#"{"message": "", "error": "no slot"}"#, "(no slot)"),
            (
                r#"{"detail": [{"loc": ["body", "envs", 0], "msg": "Field required"}]}"#,
                "(body.envs.0: Field required)",
            ),
            (r#"{"detail": {"message": "too many"}}"#, "(too many)"),
            ("\"plain\"", "(plain)"),
            ("upstream died", "(upstream died)"),
            ("<html><body>502</body></html>", "(a page of HTML)"),
            (r#"{"detail": "no job 0f8fad5b-d9cb-469f-a165-70867728950e"}"#, "(no job 0f8f…)"),
        ] {
            let error = read(503, body);
            assert!(error.contains(part) && error.contains("status 503"), "{body}: {error}");
        }
        assert!(read(500, &"é".repeat(5000)).len() < 1000);
        assert!(read(401, "{}").contains("PLATO_API_KEY"));
        assert!(read(302, "").contains("base URL"));
    }
}
