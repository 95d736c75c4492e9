//! The document that describes the API.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// OpenAPI 3.1, written by hand.
const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::http::routes::{Access, routes};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn the_document_has_every_route_of_the_api_and_no_other() {
        let documented: BTreeSet<(String, String)> = document()["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| (method.to_ascii_uppercase(), path.clone()))
            })
            .collect();
        let routed: BTreeSet<(String, String)> = routes()
            .iter()
            .filter(|route| route.path.starts_with("/api/"))
            .map(|route| (route.method.to_string(), route.path.to_owned()))
            .collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn the_document_says_where_no_token_is_needed() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], "1");
        for route in routes().iter().filter(|route| route.path.starts_with("/api/")) {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            let is_open = operation["security"] == json!([]);
            assert_eq!(is_open, route.access == Access::Open, "{} {}", route.method, route.path);
            for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let parameters = document["paths"][route.path]["parameters"].as_array().unwrap();
                let named = |parameter: &Value| {
                    let reference = parameter["$ref"].as_str().unwrap_or_default();
                    reference.rsplit('/').next() == Some(name) || parameter["name"] == name
                };
                assert!(parameters.iter().any(named), "{name} of {}", route.path);
            }
        }
    }

    #[test]
    fn the_document_says_how_a_body_can_fail() {
        let document = document();
        let methods = document["paths"].as_object().unwrap().values().filter_map(Value::as_object).flatten();
        let with_body: Vec<_> =
            methods.filter(|(_, operation)| operation.get("requestBody").is_some()).collect();
        assert!(with_body.len() >= 4);
        for (_, operation) in with_body {
            for status in ["400", "408", "413", "415"] {
                assert!(
                    operation["responses"].get(status).is_some(),
                    "{status}: {}",
                    operation["operationId"]
                );
            }
        }
    }

    #[test]
    fn the_document_names_every_way_of_tampering() {
        let names: Vec<_> = crate::Tamper::ALL.iter().map(|tamper| tamper.as_str()).collect();
        let documented = "/components/schemas/CallRequest/properties/options/properties/tamper/enum";
        assert_eq!(document().pointer(documented), Some(&json!(names)));
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        fn visit(value: &Value, whole: &Value) {
            if let Some(reference) = value["$ref"].as_str() {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(whole.pointer(pointer).is_some(), "{reference}");
            }
            match value {
                Value::Object(members) => members.values().for_each(|member| visit(member, whole)),
                Value::Array(items) => items.iter().for_each(|item| visit(item, whole)),
                _ => {}
            }
        }
        let document = document();
        visit(&document, &document);
    }
}
