//! `OpenAPI` documents: whatever they say, what is imported is a sound tool, within its budget.

use platools::tool::check_name;
use platools_openapi::{Document, Selection, import};
use serde_json::{Map, json};

/// The most bytes of one import here.
const MAX_BYTES: usize = 1 << 20;

/// A document, JSON or YAML.
pub fn openapi(bytes: &[u8]) -> bool {
    let Ok(document) = Document::parse(bytes) else { return false };
    let mut selection = Selection::default();
    selection.max_bytes = MAX_BYTES;
    let Ok(import) = import(&document, &selection) else { return false };
    for operation in &import.operations {
        check_name(&operation.name).expect("a name that vendors take");
        let validator = jsonschema::draft202012::options().build(&operation.input_schema);
        // Only a pattern may be beyond what the validator understands; a schema by itself is one.
        if let Err(error) = validator {
            assert!(error.to_string().contains("regex"), "{error}: {}", operation.input_schema);
        }
        let _ = operation.request(&Map::new());
        let names = operation.input_schema["properties"].as_object().expect("an object").keys();
        for hostile in [json!("../../x"), json!("a/b?c#d\r\n"), json!({"a": ["..", 1, null]})] {
            let arguments = names.clone().map(|name| (name.clone(), hostile.clone())).collect();
            let Ok(request) = operation.request(&arguments) else { continue };
            let steps = |path: &str| path.matches('/').count();
            assert_eq!(
                steps(&request.path),
                steps(&operation.path),
                "{} of {}",
                request.path,
                operation.path
            );
            let is_clean = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(is_clean(&request.path) && !request.path.contains(['?', '#']), "{}", request.path);
            assert!(is_clean(&request.query) && !request.query.contains('#'), "{}", request.query);
            assert!(request.headers.iter().all(|(_, value)| is_clean(value)), "{:?}", request.headers);
        }
    }
    !import.operations.is_empty()
}
