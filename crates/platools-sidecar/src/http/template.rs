//! A `[[tool.http]]`: from the arguments of a call to a request.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use platools::ToolError;
use serde_json::{Map, Value};

use super::encode::{check_path, push_parameter, segment};
use super::outgoing::{Outgoing, OutgoingBody};
use crate::template::{Placeholder, Template, Values, as_text};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// How a request is made.
#[derive(Debug)]
pub(crate) struct RequestTemplate {
    pub(crate) method: Method,
    /// The path behind the backend's, with a slash at its beginning, or empty.
    pub(crate) path: Template,
    pub(crate) query: Vec<(String, Template)>,
    pub(crate) headers: Vec<(HeaderName, Template)>,
    pub(crate) body: BodyTemplate,
}

/// How the body is made.
#[derive(Debug)]
pub(crate) enum BodyTemplate {
    /// There is none; arguments that stand nowhere else go into the query.
    None,
    /// Arguments that stand nowhere else, as a JSON object.
    RestAsJson,
    /// Arguments that stand nowhere else, as a form.
    RestAsForm,
    Json(JsonTemplate),
    Form(Vec<(String, Template)>),
    Text(Template),
}

/// JSON with placeholders in its texts.
#[derive(Debug)]
pub(crate) enum JsonTemplate {
    Value(Value),
    Text(Template),
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// # Errors
    /// What is wrong with a text in it.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::parse(text)?),
            Value::Array(items) => Self::Array(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::parse(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Value(other.clone()),
        })
    }

    fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Template)) {
        match self {
            Self::Value(_) => {}
            Self::Text(template) => visit(template),
            Self::Array(items) => items.iter().for_each(|item| item.visit(visit)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.visit(visit)),
        }
    }

    /// The JSON; what holds an absent argument is left out.
    fn fill(&self, values: Values<'_>) -> Option<Value> {
        Some(match self {
            Self::Value(value) => value.clone(),
            Self::Text(template) => match template.only_placeholder() {
                Some(placeholder) => values.get(placeholder)?.into_owned(),
                None => template.fill(values)?.into(),
            },
            Self::Array(items) => items.iter().filter_map(|item| item.fill(values)).collect(),
            Self::Object(members) => {
                let members =
                    members.iter().filter_map(|(name, member)| Some((name.clone(), member.fill(values)?)));
                Value::Object(members.collect())
            }
        })
    }
}

impl RequestTemplate {
    /// The texts of it, each with whether it may be left out.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        let mut templates = vec![&self.path];
        templates.extend(self.query.iter().map(|(_, template)| template));
        templates.extend(self.headers.iter().map(|(_, template)| template));
        match &self.body {
            BodyTemplate::None | BodyTemplate::RestAsJson | BodyTemplate::RestAsForm => {}
            BodyTemplate::Json(json) => json.visit(&mut |template| templates.push(template)),
            BodyTemplate::Form(fields) => templates.extend(fields.iter().map(|(_, template)| template)),
            BodyTemplate::Text(template) => templates.push(template),
        }
        templates
    }

    /// The arguments that stand somewhere.
    fn placed(&self) -> BTreeSet<&str> {
        let placeholders = self.templates().into_iter().flat_map(Template::placeholders);
        placeholders
            .filter_map(|placeholder| match placeholder {
                Placeholder::Argument(name) => Some(name.as_str()),
                Placeholder::Caller(_) => None,
            })
            .collect()
    }

    /// The request of a call.
    ///
    /// # Errors
    /// `invalid arguments: …` for values that may not stand where they would; `denied: …` when something is missing of
    /// the caller.
    pub(crate) fn fill(&self, values: Values<'_>) -> Result<Outgoing, ToolError> {
        values.require_caller(self.templates())?;
        let path = self.path.render(values, |placeholder, value| {
            segment(value)
                .map_err(|problem| format!("{}: it is part of a path and {problem}", placeholder.quoted()))
                .map_err(ToolError::invalid_arguments)
        })?;
        let path = path.ok_or_else(|| ToolError::invalid_arguments("an argument of the path is missing"))?;
        // Two values beside each other, or one beside fixed text, may make a step that neither is.
        if let Err(problem) = check_path(&path) {
            return Err(ToolError::invalid_arguments(format!("the path that the arguments make {problem}")));
        }
        let mut outgoing = Outgoing {
            method: self.method.clone(),
            path,
            query: String::new(),
            headers: self.headers(values)?,
            body: None,
        };
        for (name, template) in &self.query {
            match template.only_placeholder().and_then(|only| values.get(only)).as_deref() {
                // A list becomes one parameter per item.
                Some(Value::Array(items)) => {
                    for item in items {
                        push_parameter(&mut outgoing.query, name, &as_text(item));
                    }
                }
                _ => {
                    if let Some(text) = template.fill(values) {
                        push_parameter(&mut outgoing.query, name, &text);
                    }
                }
            }
        }
        let placed = self.placed();
        let rest = values
            .arguments
            .iter()
            .filter(|(name, value)| !placed.contains(name.as_str()) && !value.is_null());
        let body = |content_type: &str, text: String| {
            // It stays until the backend answers, so without the room that it had to grow.
            let bytes = text.into_boxed_str().into_boxed_bytes().into();
            Some(OutgoingBody { content_type: content_type.to_owned(), bytes })
        };
        outgoing.body = match &self.body {
            BodyTemplate::None => {
                push_all(&mut outgoing.query, rest);
                None
            }
            BodyTemplate::RestAsJson => {
                let rest: Map<String, Value> =
                    rest.map(|(name, value)| (name.clone(), value.clone())).collect();
                body(JSON, Value::Object(rest).to_string())
            }
            BodyTemplate::RestAsForm => {
                let mut form = String::new();
                push_all(&mut form, rest);
                body(FORM, form)
            }
            BodyTemplate::Json(json) => body(JSON, json.fill(values).unwrap_or(Value::Null).to_string()),
            BodyTemplate::Form(fields) => {
                let mut form = String::new();
                for (name, template) in fields {
                    if let Some(text) = template.fill(values) {
                        push_parameter(&mut form, name, &text);
                    }
                }
                body(FORM, form)
            }
            BodyTemplate::Text(template) => {
                body("text/plain; charset=utf-8", template.fill(values).unwrap_or_default())
            }
        };
        Ok(outgoing)
    }

    fn headers(&self, values: Values<'_>) -> Result<HeaderMap, ToolError> {
        let mut headers = HeaderMap::new();
        for (header, template) in &self.headers {
            let checked = template.render(values, |placeholder, value| {
                if value.chars().any(char::is_control) {
                    let problem = format!(
                        "{}: it goes into a header and may not hold control characters",
                        placeholder.quoted()
                    );
                    return Err(ToolError::invalid_arguments(problem));
                }
                Ok(value.to_owned())
            })?;
            if let Some(text) = checked {
                headers.insert(header, HeaderValue::try_from(text).map_err(ToolError::from)?);
            }
        }
        Ok(headers)
    }
}

fn push_all<'a>(query: &mut String, arguments: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (name, value) in arguments {
        match value {
            Value::Array(items) => items.iter().for_each(|item| push_parameter(query, name, &as_text(item))),
            value => push_parameter(query, name, &as_text(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use platools::CallContext;
    use serde_json::json;

    use super::*;
    use crate::caller::Caller;

    fn template(path: &str, body: BodyTemplate) -> RequestTemplate {
        let parse = |text: &str| Template::parse(text).unwrap();
        RequestTemplate {
            method: Method::POST,
            path: parse(path),
            query: vec![("limit".to_owned(), parse("{limit}")), ("v".to_owned(), parse("2"))],
            headers: vec![(HeaderName::from_static("x-tag"), parse("t-{tag}"))],
            body,
        }
    }

    fn fill(template: &RequestTemplate, arguments: &Value) -> Result<Outgoing, String> {
        let caller = Caller::from_context(CallContext::builder().user_id("usr/7").build());
        let values = Values { arguments: arguments.as_object().unwrap(), caller: &caller };
        template.fill(values).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_go_where_the_file_puts_them_and_the_rest_into_the_body() {
        let template = template("/users/{call.user_id}/orders/{id}", BodyTemplate::RestAsJson);
        let arguments = json!({"id": "a/b", "limit": [1, "x y"], "tag": "é", "sku": "s", "nothing": null});
        let outgoing = fill(&template, &arguments).unwrap();
        assert_eq!(outgoing.path, "/users/usr%2F7/orders/a%2Fb");
        assert_eq!(outgoing.query, "limit=1&limit=x%20y&v=2");
        assert_eq!(outgoing.headers["x-tag"].as_bytes(), "t-é".as_bytes());
        assert_eq!(outgoing.body.unwrap().bytes, br#"{"sku":"s"}"#.as_slice());
        let outgoing = fill(&template, &json!({"id": "a"})).unwrap();
        assert_eq!(
            (outgoing.query.as_str(), outgoing.headers.len()),
            ("v=2", 0),
            "what is absent is left out"
        );
    }

    #[test]
    fn bodies_are_json_forms_texts_or_nothing() {
        let json_body =
            JsonTemplate::parse(&json!({"a": "{n}", "b": ["x-{n}", "{absent}", 1], "c": {"d": "{list}"}}));
        let arguments = json!({"n": 3, "list": ["a&b", 2]});
        let text = |body| {
            fill(&template("", body), &arguments)
                .unwrap()
                .body
                .map(|body| String::from_utf8(body.bytes.to_vec()).unwrap())
        };
        assert_eq!(
            text(BodyTemplate::Json(json_body.unwrap())).unwrap(),
            r#"{"a":3,"b":["x-3",1],"c":{"d":["a&b",2]}}"#
        );
        assert_eq!(text(BodyTemplate::RestAsForm).unwrap(), "n=3&list=a%26b&list=2");
        let parse = |text: &str| Template::parse(text).unwrap();
        assert_eq!(text(BodyTemplate::Text(parse("n is {n}"))).unwrap(), "n is 3");
        let fields = vec![("x".to_owned(), parse("{n}&y=1")), ("z".to_owned(), parse("{absent}"))];
        assert_eq!(text(BodyTemplate::Form(fields)).unwrap(), "x=3%26y%3D1");
        assert_eq!(text(BodyTemplate::None), None);
        let outgoing = fill(&template("", BodyTemplate::None), &arguments).unwrap();
        assert_eq!(outgoing.query, "v=2&n=3&list=a%26b&list=2");
    }

    #[test]
    fn what_would_mean_more_than_it_should_is_refused_by_name() {
        let template = template("/v{id}/{part}", BodyTemplate::None);
        for (arguments, part) in [
            (json!({"id": "../..", "part": "a"}), "`id`: it is part of a path and may not hold `.` or `..`"),
            (json!({"id": "", "part": "a"}), "`id`: it is part of a path and may not be empty"),
            (json!({"id": "1", "part": ".."}), "`part`: "),
            (json!({"id": "1", "part": "a", "tag": "x\r\nx-evil: 1"}), "`tag`: it goes into a header"),
            (json!({"id": "1"}), "an argument of the path is missing"),
        ] {
            let error = fill(&template, &arguments).unwrap_err();
            assert!(error.starts_with("invalid arguments: ") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn two_values_that_together_make_a_step_upwards_are_refused() {
        let parse = |text: &str| Template::parse(text).unwrap();
        let template = RequestTemplate { path: parse("/orders/{a}{b}"), ..template("", BodyTemplate::None) };
        assert!(fill(&template, &json!({"a": "x", "b": "."})).is_err(), "a lone dot is refused by itself");
        for (a, b) in
            [("%2", "e"), ("x/%2", "e/y"), ("%25", "2e"), ("x/.%2", "e/y"), ("%0", "a"), ("%", "2e%2e")]
        {
            let error = fill(&template, &json!({"a": a, "b": b})).unwrap_err();
            assert!(error.contains("the path that the arguments make may not hold"), "{a} {b}: {error}");
        }
        for (a, b) in [("%2", "f"), ("x", "e"), ("1.", "2"), ("%", "%"), ("100%", "25")] {
            fill(&template, &json!({"a": a, "b": b})).unwrap();
        }
        let template = RequestTemplate { path: parse("/orders/{a}2e{b}/x"), ..template };
        assert!(fill(&template, &json!({"a": "%", "b": "%2e"})).is_err());
        let template = RequestTemplate { path: parse("/orders/.{a}"), ..template };
        assert!(fill(&template, &json!({"a": "."})).is_err());
        assert_eq!(fill(&template, &json!({"a": "x"})).unwrap().path, "/orders/.x");
    }
}
