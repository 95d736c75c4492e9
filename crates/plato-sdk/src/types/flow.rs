//! Flows, which operate an app step by step.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A named list of steps in an app, such as `login`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Flow {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its purpose.
    #[serde(default)]
    pub description: Option<String>,
    /// Its steps.
    #[serde(default)]
    pub steps: Option<Vec<Step>>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The operation.
    #[serde(flatten)]
    pub kind: StepKind,
    /// Its purpose.
    #[serde(default)]
    pub description: Option<String>,
    /// How long it may take, in milliseconds; 8 s unless it is said.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: Option<u32>,
    /// After which pause, in milliseconds; half a second unless it is said.
    #[serde(default)]
    pub retry_delay_ms: Option<u64>,
}

/// The operation of a step.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the server's")]
pub enum StepKind {
    WaitForSelector {
        selector: String,
    },
    Click {
        selector: String,
    },
    Fill {
        selector: String,
        value: String,
    },
    Wait {
        duration: Duration,
    },
    Navigate {
        url: String,
    },
    WaitForUrl {
        url_contains: String,
    },
    CheckElement {
        selector: String,
        should_exist: bool,
    },
    ElementVisible {
        selector: String,
    },
    ElementText {
        selector: String,
        text: String,
        contains: bool,
    },
    ElementCount {
        selector: String,
        count: u64,
    },
    PageTitle {
        title: String,
        contains: bool,
    },
    VerifyText {
        text: String,
        should_exist: bool,
    },
    VerifyUrl {
        url: String,
        contains: bool,
    },
    VerifyNoErrors {
        selectors: Vec<String>,
    },
    Screenshot {
        filename: Option<String>,
        full_page: bool,
    },
    /// A step that this version does not know, or that lacks a field: running it is an error.
    Unknown {
        kind: String,
        problem: String,
    },
}

impl<'de> Deserialize<'de> for StepKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self::read(&kind, &Fields(&fields)).unwrap_or_else(|problem| Self::Unknown { kind, problem }))
    }
}

/// The fields of a step, each with its own complaint.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Result<String, String> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            _ => Err(format!("`{name}` is missing")),
        }
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }
}

impl StepKind {
    fn read(kind: &str, fields: &Fields<'_>) -> Result<Self, String> {
        let selector = || fields.text("selector");
        Ok(match kind {
            "wait_for_selector" => Self::WaitForSelector { selector: selector()? },
            "click" => Self::Click { selector: selector()? },
            "fill" => Self::Fill { selector: selector()?, value: fields.text("value")? },
            "wait" => Self::Wait { duration: Duration::from_millis(fields.number("duration")?) },
            "navigate" => Self::Navigate { url: fields.text("url")? },
            "wait_for_url" => Self::WaitForUrl { url_contains: fields.text("url_contains")? },
            "check_element" => {
                Self::CheckElement { selector: selector()?, should_exist: fields.flag("should_exist", true) }
            }
            "verify" => Self::verify(&fields.text("verify_type")?, fields)?,
            "verify_text" => Self::VerifyText {
                text: fields.text("text")?,
                should_exist: fields.flag("should_exist", true),
            },
            "verify_url" => {
                Self::VerifyUrl { url: fields.text("url")?, contains: fields.flag("contains", true) }
            }
            "verify_no_errors" => Self::VerifyNoErrors {
                selectors: fields
                    .0
                    .get("error_selectors")
                    .and_then(Value::as_array)
                    .map_or_else(Vec::new, |selectors| {
                        selectors.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                    }),
            },
            "screenshot" => Self::Screenshot {
                filename: fields.text("filename").ok(),
                full_page: fields.flag("full_page", false),
            },
            "" => return Err("`type` is missing".to_owned()),
            _ => return Err("there is no such step".to_owned()),
        })
    }

    fn verify(kind: &str, fields: &Fields<'_>) -> Result<Self, String> {
        let selector = || fields.text("selector");
        let contains = fields.flag("contains", true);
        Ok(match kind {
            "element_exists" => Self::CheckElement { selector: selector()?, should_exist: true },
            "element_visible" => Self::ElementVisible { selector: selector()? },
            "element_text" => {
                Self::ElementText { selector: selector()?, text: fields.text("text")?, contains }
            }
            "element_count" => Self::ElementCount { selector: selector()?, count: fields.number("count")? },
            "page_title" => Self::PageTitle { title: fields.text("title")?, contains },
            _ => return Err(format!("`{kind}` is nothing that can be verified")),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(step: Value) -> StepKind {
        serde_json::from_value::<Step>(step).unwrap().kind
    }

    #[test]
    fn steps_are_read_with_their_defaults() {
        assert_eq!(
            read(json!({"type": "fill", "selector": "#a", "value": 7})),
            StepKind::Fill { selector: "#a".into(), value: "7".into() }
        );
        assert_eq!(
            read(json!({"type": "check_element", "selector": "a", "timeout": 5, "retries": 2})),
            StepKind::CheckElement { selector: "a".into(), should_exist: true }
        );
        assert_eq!(
            read(json!({"type": "verify", "verify_type": "page_title", "title": "x", "contains": false})),
            StepKind::PageTitle { title: "x".into(), contains: false }
        );
    }

    #[test]
    fn a_step_that_is_not_known_does_not_spoil_the_flow() {
        for (step, part) in [
            (json!({"type": "switch_page", "page_index": 1}), "no such step"),
            (json!({"type": "click"}), "`selector` is missing"),
            (json!({}), "`type` is missing"),
            (json!({"type": "verify", "verify_type": "mood"}), "`mood`"),
        ] {
            let StepKind::Unknown { problem, .. } = read(step.clone()) else { panic!("{step}") };
            assert!(problem.contains(part), "{problem}");
        }
    }
}
