//! Thousands of operations that say the same, and the limits of what one document may ask for.

use std::fmt::Write as _;
use std::sync::Arc;

use platools_openapi::{Document, Selection, import};
use serde_json::{Map, json};

/// A document in which every operation has the same parameters, body and answer: 45 KB each, once written out.
pub(crate) fn document(operations: usize) -> String {
    let described = "what this is, and how it is written ".repeat(3);
    let properties = (0..300).map(|number| {
        (format!("property_{number}"), json!({"type": ["string", "null"], "description": described}))
    });
    let big = json!({"type": "object", "properties": properties.collect::<Map<_, _>>()});
    let paths = (0..operations).map(|number| {
        let post = json!({
            "operationId": format!("do_{number}"),
            "tags": [if number < 10 { "few" } else { "many" }],
            "parameters": [{"$ref": "#/components/parameters/Page"}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Big"}}}},
            "responses": {"200": {"description": "", "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Small"}}}}},
        });
        (format!("/do/{number}"), json!({"post": post}))
    });
    json!({
        "openapi": "3.1.0",
        "paths": paths.collect::<Map<_, _>>(),
        "components": {
            "parameters": {"Page": {"name": "page", "in": "query", "schema": {"type": "integer"}}},
            "schemas": {"Big": big, "Small": {"type": "object", "properties": {"id": {"type": "string"}}}},
        },
    })
    .to_string()
}

#[test]
fn operations_with_one_schema_share_it_and_what_it_is_made_of() {
    let document = Document::parse(document(300).as_bytes()).unwrap();
    let mut selection = Selection::default();
    selection.max_bytes = 1 << 30;
    let operations = import(&document, &selection).unwrap().operations;
    assert_eq!(operations.len(), 300);
    let first = &operations[0];
    assert!(first.input_schema.to_string().len() > 45_000);
    for operation in &operations {
        assert!(Arc::ptr_eq(&operation.input_schema, &first.input_schema), "{}", operation.name);
        let outputs = (operation.output_schema.as_ref(), first.output_schema.as_ref());
        assert!(Arc::ptr_eq(outputs.0.unwrap(), outputs.1.unwrap()), "{}", operation.name);
    }
}

#[test]
fn more_operations_or_bytes_than_allowed_are_an_error_that_says_what_to_do() {
    let document = Document::parse(document(300).as_bytes()).unwrap();
    let problem = |selection: &Selection| import(&document, selection).unwrap_err().to_string();
    let mut selection = Selection::default();
    selection.max_tools = 200;
    let text = problem(&selection);
    assert!(text.contains("300 operations are more than `max_tools` allows (200)"), "{text}");
    assert!(text.contains("`tags`") && text.contains("raise `max_tools`"), "{text}");
    selection.max_tools = 300;
    let text = problem(&selection);
    assert!(
        text.contains("of 300 operations have") && text.contains("`max_bytes` allows 10485760"),
        "{text}"
    );
    selection.tags = vec!["few".to_owned()];
    assert_eq!(import(&document, &selection).unwrap().operations.len(), 10);
    (selection.max_tools, selection.max_bytes) = (10, 400_000);
    let text = problem(&selection);
    assert!(text.contains("of 10 operations have"), "{text}");
}

#[test]
fn texts_of_an_operation_that_is_referred_to_often_count_as_well() {
    let mut text = String::from("openapi: 3.1.0\npaths:\n");
    for number in 0..150 {
        let _ = writeln!(text, "  /a{number}: {{$ref: '#/x'}}");
    }
    let _ = writeln!(text, "x:\n  get: {{tags: [{}]}}", "t, ".repeat(5_000));
    let document = Document::parse(text.as_bytes()).unwrap();
    let mut selection = Selection::default();
    selection.max_bytes = 1 << 20;
    let problem = import(&document, &selection).unwrap_err().to_string();
    assert!(problem.contains("raise `max_bytes`"), "{problem}");
}
