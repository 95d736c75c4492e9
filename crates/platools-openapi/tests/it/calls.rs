//! From arguments to requests.

use platools_openapi::{Document, Operation, OperationRequest, Selection, import};
use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;

use super::operation;

fn request(operation: &Operation, arguments: &Value) -> Result<OperationRequest, String> {
    operation.request(arguments.as_object().unwrap()).map_err(|error| error.to_string())
}

#[test]
fn arguments_go_where_the_document_says() {
    let sent = request(
        &operation("listPets"),
        &json!({"limit": 5, "tags": ["a,b", "c"], "filter": {"status": "free"}, "X-Request-Id": "r 1", "session": "a;b"}),
    );
    let sent = sent.unwrap();
    assert_eq!((sent.method, sent.path.as_str()), ("GET", "/pets"));
    assert_eq!(sent.query, "limit=5&tags=a%2Cb,c&filter%5Bstatus%5D=free");
    let headers =
        [("X-Request-Id".to_owned(), "r 1".to_owned()), ("cookie".to_owned(), "session=a%3Bb".to_owned())];
    assert_eq!(sent.headers, headers);
    assert_eq!(sent.body, None);

    let sent =
        request(&operation("addPet"), &json!({"name": "Rex", "born": null, "status": "free"})).unwrap();
    let body = json!({"name": "Rex", "status": "free", "born": null}).to_string();
    assert_eq!(sent.body, Some(("application/json".to_owned(), body.into_bytes())));

    let sent = request(&operation("post_login"), &json!({"user": "a&b", "roles": ["x", "y z"]})).unwrap();
    let form = "user=a%26b&roles=x&roles=y%20z".to_owned();
    assert_eq!(sent.body, Some(("application/x-www-form-urlencoded".to_owned(), form.into_bytes())));

    let sent = request(&operation("writeNote"), &json!({"body": "# \"hi\""})).unwrap();
    assert_eq!(sent.body, Some(("text/markdown".to_owned(), b"# \"hi\"".to_vec())));

    let sent =
        request(&operation("replacePet"), &json!({"petId": 7, "body": {"name": "Rex", "petId": 8}})).unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.body.unwrap().1.as_slice()),
        ("/pets/7", br#"{"name":"Rex","petId":8}"#.as_slice())
    );
    assert_eq!(request(&operation("addRelatives"), &json!({"petId": 7})).unwrap().body, None);
}

#[test]
fn what_is_missing_or_cannot_be_sent_is_named() {
    for (name, arguments, part) in [
        ("getPet", json!({}), "`petId` is missing"),
        ("getPet", json!({"petId": null}), "`petId` is missing"),
        ("getPet", json!({"petId": ".."}), "`petId` is part of the path and may not hold `.` or `..`"),
        ("getPet", json!({"petId": "%2e%2e%2fadmin"}), "`petId` is part of the path"),
        ("getPet", json!({"petId": ""}), "`petId` is part of the path and may not be empty"),
        ("writeNote", json!({}), "`body` is missing"),
        ("listPets", json!({"X-Request-Id": "a\r\nevil: 1"}), "`X-Request-Id` goes into a header"),
    ] {
        let error = request(&operation(name), &arguments).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

/// An operation with every style there is.
fn styles() -> Vec<Operation> {
    let document = json!({"openapi": "3.1.0", "paths": {
        "/s/{simple}/l/{label}/m{matrix}/x{a}{b}.json": {"post": {"operationId": "styles", "parameters": [
            {"name": "simple", "in": "path", "required": true},
            {"name": "label", "in": "path", "required": true, "style": "label", "explode": true},
            {"name": "matrix", "in": "path", "required": true, "style": "matrix"},
            {"name": "a", "in": "path", "required": true},
            {"name": "b", "in": "path", "required": true},
            {"name": "form", "in": "query"},
            {"name": "comma", "in": "query", "explode": false},
            {"name": "deep", "in": "query", "style": "deepObject"},
            {"name": "json", "in": "query", "content": {"application/json": {}}},
            {"name": "X-H", "in": "header"},
            {"name": "c", "in": "cookie"},
        ], "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}}},
        "/{a}{b}": {"get": {"operationId": "pair"}},
    }});
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    import(&document, &Selection::default()).unwrap().operations
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,12}",
        Just("..".to_owned()),
        Just("../../etc".to_owned()),
        Just("%2e%2e%2f".to_owned()),
        Just("a@b".to_owned()),
        Just("https://evil.example/".to_owned()),
        Just("a\r\nb: c".to_owned()),
        Just("a&b=c#d?e;f,g/h\\i".to_owned()),
    ];
    let single = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!(null))
    ];
    single.prop_recursive(2, 8, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn values_beside_each_other_make_no_step_that_neither_is() {
    let pair = styles().into_iter().find(|operation| operation.name == "pair").unwrap();
    let request = |a: &str, b: &str| {
        let arguments = json!({"a": a, "b": b});
        pair.request(arguments.as_object().unwrap()).map(|request| request.path)
    };
    assert_eq!(request("a", "b").unwrap(), "/ab");
    for (a, b) in [("%2", "e%2e"), ("%2e%", "2e"), ("%", "2e.")] {
        let error = request(a, b).unwrap_err().to_string();
        assert!(error.starts_with("the path that the arguments make "), "{a} {b}: {error}");
    }
}

proptest! {
    #[test]
    fn whatever_the_arguments_are_they_stay_where_they_were_put(
        values in prop::collection::vec(value(), 12),
    ) {
        let names = ["simple", "label", "matrix", "a", "b", "form", "comma", "deep", "json", "X-H", "c", "body"];
        let arguments: Value = Value::Object(names.iter().map(|name| (*name).to_owned()).zip(values).collect());
        for operation in styles() {
            let Ok(request) = operation.request(arguments.as_object().unwrap()) else { continue };
            let text = format!("http://127.0.0.1:81/base{}?{}", request.path, request.query);
            let url = Url::parse(&text).unwrap();
            // A parser of URLs finds nothing to change: no step, no authority, no fragment.
            prop_assert_eq!(url.as_str(), text.as_str());
            prop_assert_eq!(url.fragment(), None);
            let segments = if operation.name == "pair" { 2 } else { 7 };
            prop_assert_eq!(url.path_segments().unwrap().count(), segments, "{}", url);
            let known = ["form", "comma", "json"];
            for (name, _) in url.query_pairs() {
                let is_exploded = arguments["form"].is_object()
                    && arguments["form"].as_object().unwrap().contains_key(name.as_ref());
                let is_member = arguments["deep"].is_object() || is_exploded;
                prop_assert!(known.contains(&name.as_ref()) || name == "deep" || is_member, "{}", name);
            }
            for (name, value) in &request.headers {
                prop_assert!(["X-H", "cookie"].contains(&name.as_str()));
                prop_assert!(value.chars().all(|next| (' '..='~').contains(&next)), "{:?}", value);
            }
        }
    }
}
