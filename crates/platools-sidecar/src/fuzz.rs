//! For the project's own fuzz targets: parsers by themselves. Each function panics if something is wrong, and returns
//! whether the text was accepted.

#![allow(clippy::missing_panics_doc, reason = "they panic when something is wrong, as said above")]

use http::{HeaderName, Method};
use serde_json::{Map, Value};

use crate::caller::Caller;
use crate::command::template::{ArgTemplate, CommandTemplate};
use crate::config::{Document, Sections};
use crate::http::template::{BodyTemplate, RequestTemplate};
use crate::template::{Placeholder, Template, Values};

/// Reads a configuration. Every problem has its place in the file and a message of one line.
pub fn configuration(text: &str) -> bool {
    let (problems, lines) = (Sections::read(&Document::parse(text)).1, text.lines().count());
    for problem in &problems {
        assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem}");
        assert!(
            !problem.message.is_empty() && !problem.to_string().contains(['\n', '\u{1b}']),
            "{problem:?}"
        );
    }
    problems.is_empty()
}

/// Reads a template and puts one value, a text or JSON, into all of its placeholders: it stays in its segment of a
/// path, its line of a header, its parameter of a query, and its argument of a program.
pub fn template(text: &str, value: &str) -> bool {
    let Ok(template) = Template::parse(text) else { return false };
    let names = template.placeholders().filter_map(|placeholder| match placeholder {
        Placeholder::Argument(name) => Some(name.clone()),
        Placeholder::Caller(_) => None,
    });
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let arguments: Map<String, Value> = names.map(|name| (name, value.clone())).collect();
    let caller = Caller::nobody();
    let values = Values { arguments: &arguments, caller: &caller };
    let fixed = template.render(values, |_, _| Ok::<_, std::convert::Infallible>("x".to_owned()));
    let Ok(Some(fixed)) = fixed else { return false };
    let request = RequestTemplate {
        method: Method::GET,
        path: template.clone(),
        query: vec![("q".to_owned(), template.clone())],
        headers: vec![(HeaderName::from_static("x-h"), template.clone())],
        body: BodyTemplate::None,
    };
    if let Ok(outgoing) = request.fill(values) {
        let steps = |path: &str| path.matches('/').count();
        assert_eq!(steps(&outgoing.path), steps(&fixed), "{:?}", outgoing.path);
        let marks = |path: &str| path.matches(['?', '#', '\r', '\n', '\0']).count();
        assert_eq!(marks(&outgoing.path), marks(&fixed), "{:?}", outgoing.path);
        assert!(outgoing.query.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#'));
        if !value.is_array() {
            assert!(outgoing.query.matches(['&', '=']).count() <= 1, "{:?}", outgoing.query);
        }
    }
    let command = CommandTemplate { args: vec![ArgTemplate::One(template.clone())], allow_dash: false };
    if let Ok(line) = command.fill(values) {
        assert!(line.len() == 1 || (template.only_placeholder().is_some() && value.is_array()), "{line:?}");
        let is_given = template.begins_with_placeholder();
        assert!(!is_given || line.iter().all(|argument| !argument.starts_with('-')), "{line:?}");
        assert!(line.iter().all(|argument| !argument.contains('\0') || text.contains('\0')), "{line:?}");
    }
    true
}
