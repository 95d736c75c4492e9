//! Documents broken at random: never a panic, never a hang, and what is imported is sound all the same.

use std::time::{Duration, Instant};

use platools::tool::check_name;
use platools_openapi::{Document, Selection, import};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{ODD, PETSTORE};

/// The bodies of the fuzz targets: whatever the bytes are, an import ends and is sound.
fn check(bytes: &[u8]) {
    let started = Instant::now();
    if let Ok(document) = Document::parse(bytes) {
        let import = import(&document, &Selection::default()).unwrap();
        for operation in &import.operations {
            check_name(&operation.name).unwrap();
            assert!(operation.input_schema.to_string().len() < 200_000);
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(false)
                .build(&operation.input_schema);
            // Only a pattern may be beyond what the validator understands; a schema by itself is one.
            if let Err(error) = validator {
                assert!(error.to_string().contains("regex"), "{error}: {}", operation.input_schema);
            }
            let _ = operation.request(&Map::new());
            let everything = operation.input_schema["properties"].as_object().unwrap().keys();
            let everything = everything.map(|name| (name.clone(), json!({"a": ["..", 1, null]}))).collect();
            let _ = operation.request(&everything);
        }
    }
    assert!(started.elapsed() < Duration::from_secs(60), "it took {:?}", started.elapsed());
}

/// Every place in a value.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                pointers(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(-1.5)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/components/schemas/Family"})),
        Just(json!({"$ref": "#/components/schemas/Pet"})),
        Just(json!({"$ref": "#/paths"})),
        Just(json!({"$ref": "#/paths/~1pets/get"})),
        Just(json!({"allOf": [{"$ref": "#/components/schemas/NewPet"}], "nullable": true})),
        ".{0,8}".prop_map(Value::from),
    ]
}

fn store() -> Value {
    // Written as JSON, so that it can be broken in places.
    let document: Value = serde_saphyr::from_str(PETSTORE).unwrap();
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_store_with_other_things_in_some_places(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), junk(), 0..3_u8), 1..6),
    ) {
        let mut document = store();
        for (at, from, junk, kind) in changes {
            let mut all = Vec::new();
            pointers(&document, "", &mut all);
            let pointer = &all[at.index(all.len())];
            let value = match kind {
                0 => junk,
                1 => document.pointer(&all[from.index(all.len())]).cloned().unwrap(),
                _ => json!({"$ref": format!("#{}", all[from.index(all.len())])}),
            };
            *document.pointer_mut(pointer).unwrap() = value;
        }
        check(document.to_string().as_bytes());
    }

    #[test]
    fn a_store_with_other_bytes_in_some_places(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
        json in any::<bool>(),
    ) {
        let mut bytes = if json { ODD } else { PETSTORE }.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + usize::from(byte)).min(bytes.len() - 1).max(at))),
            }
        }
        check(&bytes);
    }

    #[test]
    fn anything_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
        check(&[b"openapi: 3.1.0\npaths: ".as_slice(), &bytes].concat());
    }
}

#[test]
fn long_chains_and_wide_ladders_of_references_end() {
    let mut chain = Map::new();
    for index in 0..20_000 {
        chain.insert(
            format!("C{index}"),
            json!({"properties": {"n": {"$ref": format!("#/s/C{}", index + 1)}}}),
        );
    }
    chain.insert("C20000".to_owned(), json!({"type": "string"}));
    for index in 0..20_000 {
        chain.insert(format!("P{index}"), json!({"allOf": [{"$ref": format!("#/s/P{}", index + 1)}]}));
    }
    for index in 0..60 {
        let next = json!({"$ref": format!("#/s/L{}", index + 1)});
        chain.insert(format!("L{index}"), json!({"properties": {"a": next, "b": next}, "allOf": [next]}));
    }
    let body = |name: &str| json!({"content": {"application/json": {"schema": {"$ref": format!("#/s/{name}")}}}, "required": true});
    let document = json!({"openapi": "3.1.0", "s": chain, "paths": {"/a": {
        "post": {"requestBody": body("C0")}, "put": {"requestBody": body("P0")}, "patch": {"requestBody": body("L0")},
    }}});
    check(document.to_string().as_bytes());
    check("{\"openapi\":\"3.1.0\",\"paths\":".repeat(50_000).as_bytes());
}
