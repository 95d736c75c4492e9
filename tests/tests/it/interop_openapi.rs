//! GitHub's own description of its API, as the sidecar imports it.

use std::time::Instant;

use platools::tool::check_name;
use platools::{Platools, Tool, ToolOutput, ToolSpec};
use platools_openapi::{Document, Selection, import};
use serde_json::{Map, Value, json};

use super::interop::node_packages;

/// What a host may declare, in bytes.
const DECLARATION: usize = 10 << 20;

fn document() -> Option<Vec<u8>> {
    let home = node_packages("openapi")?;
    let path = home.join("node_modules/@octokit/openapi/generated/api.github.com.json");
    Some(std::fs::read(path).unwrap())
}

#[test]
fn every_operation_of_githubs_api_becomes_a_tool() {
    let Some(bytes) = document() else { return };
    let started = Instant::now();
    let document = Document::parse(&bytes).unwrap();
    let parsed = started.elapsed();
    let import = import(&document, &Selection::default()).unwrap();
    let took = started.elapsed();

    // Counted in the document itself, without the importer.
    let raw: Value = serde_json::from_slice(&bytes).unwrap();
    let methods = ["get", "put", "post", "delete", "patch"];
    let paths = raw["paths"].as_object().unwrap().values();
    let expected: usize =
        paths.map(|item| methods.iter().filter(|method| item.get(method).is_some()).count()).sum();
    assert_eq!(import.operations.len(), expected, "{:#?}", import.warnings);

    let mut tools = Vec::new();
    let (mut size, mut largest) = (0, 0);
    for operation in &import.operations {
        check_name(&operation.name).unwrap();
        assert!(operation.server.as_deref().unwrap().ends_with(".github.com"));
        let validator = jsonschema::draft202012::new(&operation.input_schema);
        validator.unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        assert_eq!(operation.input_schema["type"], "object");
        let bytes = operation.input_schema.to_string().len();
        (size, largest) = (size + bytes, largest.max(bytes));

        // A value for everything that is required; it has to be sent.
        let properties = operation.input_schema["properties"].as_object().unwrap();
        let required = operation.input_schema["required"].as_array().into_iter().flatten();
        let arguments: Map<String, Value> = required
            .map(|name| name.as_str().unwrap())
            .inspect(|name| assert!(properties.contains_key(*name), "{}: {name}", operation.name))
            .map(|name| (name.to_owned(), json!("x/y")))
            .collect();
        let request =
            operation.request(&arguments).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        let segments = |path: &str| path.split('/').count();
        assert_eq!(segments(&request.path), segments(&operation.path), "{}", operation.path);
        let mut spec = ToolSpec::new(operation.name.as_str())
            .description(operation.description.as_str())
            .input_schema(operation.input_schema.clone());
        spec.output_schema.clone_from(&operation.output_schema);
        tools.push(Tool::new(spec, |_| async { Ok(ToolOutput::null()) }));
    }
    // A platform takes them all in one declaration.
    let host = Platools::builder()
        .url("ws://127.0.0.1:9/?entity=github&env=test")
        .secret("0123456789abcdef")
        .tools(tools);
    host.build().unwrap();
    let declared: usize = import
        .operations
        .iter()
        .map(|operation| {
            let output = operation.output_schema.as_ref().map_or(0, |schema| schema.to_string().len());
            operation.input_schema.to_string().len() + output + operation.description.len()
        })
        .sum();
    assert!(declared < DECLARATION);
    eprintln!(
        "GitHub: {expected} operations of {} KiB, parsed in {parsed:?}, imported in {:?}; schemas of arguments {} KiB, \
         the largest {largest} bytes, with answers and descriptions {} KiB; {} warnings",
        bytes.len() >> 10,
        took.checked_sub(parsed).unwrap(),
        size >> 10,
        declared >> 10,
        import.warnings.len(),
    );
}

#[test]
fn operations_of_githubs_api_are_chosen_and_called() {
    let Some(bytes) = document() else { return };
    let document = Document::parse(&bytes).unwrap();
    let mut selection = Selection::default();
    selection.paths = vec!["/repos/{owner}/{repo}/issues/**".to_owned()];
    selection.read_only = true;
    selection.prefix = "gh_".to_owned();
    let import = import(&document, &selection).unwrap();
    assert!(import.operations.len() > 10 && import.warnings.is_empty(), "{:?}", import.warnings);
    let list =
        import.operations.iter().find(|operation| operation.name == "gh_issues_list-for-repo").unwrap();
    let arguments = json!({"owner": "a/b", "repo": "c?d", "labels": "x,y", "per_page": 5});
    let request = list.request(arguments.as_object().unwrap()).unwrap();
    assert_eq!(request.path, "/repos/a%2Fb/c%3Fd/issues");
    assert_eq!(request.query, "labels=x%2Cy&per_page=5");
    let up = json!({"owner": "..", "repo": "c"});
    assert!(list.request(up.as_object().unwrap()).is_err());
}
