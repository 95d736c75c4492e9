//! Every form of an argument: its schema, good values, and bad ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use platools::{tool, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::caller::call;

/// Take optional and required ones.
#[tool(register = false)]
async fn optional(required: String, maybe: Option<u32>, list: Option<Vec<String>>) -> Value {
    json!([required, maybe, list])
}

#[tokio::test]
async fn options_may_be_left_out_or_null() {
    let tool = &tools![optional][0];
    assert_eq!(tool.spec().input_schema["required"], json!(["required"]));
    assert_eq!(tool.spec().input_schema["additionalProperties"], json!(false));
    assert_eq!(call(tool, json!({"required": "a"})).await, Ok(json!(["a", null, null])));
    let sent = json!({"required": "a", "maybe": null, "list": ["b"]});
    assert_eq!(call(tool, sent).await, Ok(json!(["a", null, ["b"]])));
    let error = call(tool, json!({"maybe": -1, "lst": []})).await.unwrap_err();
    for part in ["`required` is missing", "`maybe`: expected an integer", "`lst`", "did you mean `list`?"] {
        assert!(error.contains(part), "{error}");
    }
}

type Renamed = Option<String>;

/// Take an option under another name.
#[tool(register = false)]
fn aliased(maybe: Renamed, nested: std::option::Option<Option<u8>>) -> Value {
    json!([maybe, nested])
}

#[tokio::test]
async fn an_option_is_known_by_its_type_and_not_by_its_spelling() {
    let tool = &tools![aliased][0];
    assert_eq!(tool.spec().input_schema["required"], Value::Null);
    assert_eq!(call(tool, json!({})).await, Ok(json!([null, null])));
}

/// Borrow everything.
#[tool(register = false)]
async fn borrowed(
    name: &str,
    ids: &[u64],
    bytes: Option<&[u8]>,
    nick: Option<&str>,
    folder: &Path,
    point: &Point,
    other: Option<&Point>,
    cow: Cow<'_, str>,
) -> Value {
    json!([name, ids, bytes, nick, folder, point, other, cow])
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Point {
    x: i32,
    y: i32,
}

#[tokio::test]
async fn borrowed_arguments_are_owned_for_the_call() {
    let tool = &tools![borrowed][0];
    assert_eq!(tool.spec().input_schema["required"], json!(["name", "ids", "folder", "point", "cow"]));
    let sent = json!({
        "name": "n", "ids": [1], "bytes": [255], "nick": "k", "folder": "a/b",
        "point": {"x": 1, "y": 2}, "other": {"x": 3, "y": 4}, "cow": "c",
    });
    let point = |x, y| json!({"x": x, "y": y});
    assert_eq!(
        call(tool, sent).await,
        Ok(json!(["n", [1], [255], "k", "a/b", point(1, 2), point(3, 4), "c"]))
    );
    let least = json!({"name": "n", "ids": [], "folder": "", "point": {"x": 1, "y": 2}, "cow": "c"});
    assert_eq!(call(tool, least).await, Ok(json!(["n", [], null, null, "", point(1, 2), null, "c"])));
    // And directly, with the signature as it is written.
    let direct =
        borrowed("n", &[1], None, Some("k"), Path::new("p"), &Point { x: 1, y: 2 }, None, "c".into());
    assert_eq!(direct.await[3], "k");
}

const LIMIT: u32 = 7;

/// Take defaults.
#[tool(register = false)]
fn defaults(
    #[tool(default)] zero: u32,
    #[tool(default = 10)] number: u64,
    #[tool(default = -2.5)] float: f64,
    #[tool(default = "hello")] text: String,
    #[tool(default = "borrowed")] borrowed: &str,
    #[tool(default = LIMIT)] constant: u32,
    #[tool(default = vec![1, 2])] list: Vec<u8>,
    #[tool(default = [3, 4])] slice: &[u8],
    #[tool(default = "maybe")] maybe: Option<String>,
    #[tool(default = 5)] maybe_number: Option<u8>,
    #[tool(default = Point { x: 0, y: 1 })] point: Point,
) -> Value {
    json!([zero, number, float, text, borrowed, constant, list, slice, maybe, maybe_number, point])
}

#[tokio::test]
async fn defaults_are_declared_and_used() {
    let tool = &tools![defaults][0];
    let schema = &tool.spec().input_schema;
    assert_eq!(schema["required"], Value::Null);
    let declared: Vec<_> = schema["properties"]
        .as_object()
        .unwrap()
        .values()
        .map(|property| property["default"].clone())
        .collect();
    let expected = json!([
        0, 10, -2.5, "hello", "borrowed", 7, [1, 2], [3, 4], "maybe", 5, {"x": 0, "y": 1}
    ]);
    assert_eq!(Value::Array(declared), expected);
    assert_eq!(call(tool, json!({})).await, Ok(expected));
    // An explicit null is a value, and only an option has one.
    assert_eq!(call(tool, json!({"maybe": null})).await.unwrap()[8], Value::Null);
    let error = call(tool, json!({"number": null})).await.unwrap_err();
    assert!(error.contains("`number`: expected an integer"), "{error}");
}

/// Take lists of texts, and borrowed things, as defaults.
#[tool(register = false)]
#[expect(clippy::needless_pass_by_value, reason = "the test is about all kinds of types")]
fn default_lists(
    #[tool(default = ["a", "b"])] texts: Vec<String>,
    #[tool(default = ["a"])] borrowed: &[String],
    #[tool(default = &["a"])] borrowed_twice: &[String],
    #[tool(default = &[1, 2])] numbers: &[u64],
    #[tool(default = [1; 3])] repeated: Vec<u8>,
    #[tool(default = ["b", "a"])] set: BTreeSet<String>,
    #[tool(default = ["a"])] boxed: Box<[Box<str>]>,
    #[tool(default = ["a", "b"])] array: [String; 2],
    #[tool(default = ["a"])] maybe: Option<Vec<Cow<'_, str>>>,
    #[tool(default = [["a"], ["b"]])] nested: Vec<Vec<String>>,
    #[tool(default = [Some(String::from("a")), None])] options: Vec<Option<String>>,
    #[tool(default = ["a"])] maybe_inside: Vec<Option<String>>,
    #[tool(default = [])] none: Vec<String>,
    #[tool(default = ["a", "b"])] json: Value,
    #[tool(default = &Point { x: 0, y: 1 })] point: &Point,
    #[tool(default = [Point { x: 0, y: 1 }])] points: &[Point],
    #[tool(default = &"a")] text: &str,
    #[tool(default = ['a', 'b'])] letters: Vec<char>,
) -> Value {
    json!([
        texts,
        borrowed,
        borrowed_twice,
        numbers,
        repeated,
        set,
        boxed,
        array,
        maybe,
        nested,
        options,
        maybe_inside,
        none,
        json,
        point,
        points,
        text,
        letters
    ])
}

#[tokio::test]
async fn lists_of_texts_are_defaults_of_lists_of_strings() {
    let expected = json!([
        ["a", "b"], ["a"], ["a"], [1, 2], [1, 1, 1], ["a", "b"], ["a"], ["a", "b"], ["a"], [["a"], ["b"]],
        ["a", null], ["a"], [], ["a", "b"], {"x": 0, "y": 1}, [{"x": 0, "y": 1}], "a", ["a", "b"]
    ]);
    assert_eq!(call(&tools![default_lists][0], json!({})).await, Ok(expected));
}

/// Keep within bounds.
#[tool(register = false)]
fn bounded(
    #[tool(range(min = 1, max = 100))] whole: u32,
    #[tool(range(exclusive_min = 0, exclusive_max = 1.5))] real: f64,
    #[tool(range(min = -3, max = 3_000_000_000))] wide: i64,
    #[tool(range(max = LIMIT))] maybe: Option<u32>,
    #[tool(length(min = 2, max = 3))] text: &str,
    #[tool(length(equal = 2))] pair: Vec<u8>,
    #[tool(length(max = 1))] map: BTreeMap<String, u8>,
    #[tool(length(min = 1), pattern = "^[a-z]+$")] word: Option<&str>,
) -> Value {
    json!([whole, real, wide, maybe, text, pair, map, word])
}

#[tokio::test]
async fn constraints_are_in_the_schema() {
    let tool = &tools![bounded][0];
    let properties = &tool.spec().input_schema["properties"];
    let expected = json!({
        "whole": {"minimum": 1, "maximum": 100},
        "real": {"exclusiveMinimum": 0, "exclusiveMaximum": 1.5},
        "wide": {"minimum": -3, "maximum": 3_000_000_000_u64},
        "maybe": {"maximum": 7},
        "text": {"minLength": 2, "maxLength": 3},
        "pair": {"minItems": 2, "maxItems": 2},
        "map": {"maxProperties": 1},
        "word": {"minLength": 1, "pattern": "^[a-z]+$"},
    });
    for (name, keywords) in expected.as_object().unwrap() {
        for (keyword, bound) in keywords.as_object().unwrap() {
            assert_eq!(&properties[name][keyword], bound, "{name}: {keyword} in {properties}");
        }
    }
}

#[tokio::test]
async fn constraints_are_enforced_all_at_once() {
    let tool = &tools![bounded][0];
    let good = json!({"whole": 1, "real": 1.25, "wide": -3, "text": "né", "pair": [1, 2], "map": {}});
    assert_eq!(call(tool, good).await, Ok(json!([1, 1.25, -3, null, "né", [1, 2], {}, null])));
    let bad = json!({
        "whole": 101, "real": 0, "wide": -4, "maybe": 8, "text": "n", "pair": [1], "map": {"a": 1, "b": 2}, "word": "A",
    });
    let error = call(tool, bad).await.unwrap_err();
    for part in [
        "`whole`: expected an integer from 1 to 100, got the number 101",
        "`real`: expected a number greater than 0 and less than 1.5, got the number 0",
        "`wide`: expected an integer from -3 to 3000000000, got the number -4",
        "`maybe`: expected an integer from 0 to 7, got the number 8",
        "`text`: must have at least 2 characters, got 1",
        "`pair`: must have exactly 2 items, got 1",
        "`map`: must have at most 1 member, got 2",
        "`word`: must match the pattern `^[a-z]+$`, got \"A\"",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

/// Take a default that its own bounds refuse? Never: it is the author's word.
#[tool(register = false)]
fn default_and_range(#[tool(range(min = 1, max = 10), default = 5)] limit: u32) -> u32 {
    limit
}

#[tokio::test]
async fn a_default_and_a_range_go_together() {
    let tool = &tools![default_and_range][0];
    assert_eq!(call(tool, json!({})).await, Ok(json!(5)));
    assert!(call(tool, json!({"limit": 11})).await.unwrap_err().contains(" 10, got the number 11"));
}

/// Take other names.
#[tool(rename_all = "camelCase", register = false)]
fn renamed(order_id: u8, #[tool(rename = "note-text")] note: u8, r#type: u8) -> u8 {
    order_id + note + r#type
}

#[tokio::test]
async fn arguments_can_have_other_names() {
    let tool = &tools![renamed][0];
    assert_eq!(call(tool, json!({"orderId": 1, "note-text": 2, "type": 3})).await, Ok(json!(6)));
    let error = call(tool, json!({"order_id": 1, "note-text": 2, "type": 3})).await.unwrap_err();
    assert!(
        error.contains("`orderId` is missing") && error.contains("`order_id` is not an argument"),
        "{error}"
    );
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Page {
    /// How many.
    page_size: u8,
    after: Option<String>,
}

/// Flatten a struct.
#[tool(register = false)]
fn flattened(first: u8, #[tool(flatten)] page: Page, last: u8) -> Value {
    json!([first, page, last])
}

/// Flatten a borrowed struct.
#[tool(register = false)]
fn flattened_reference(#[tool(flatten)] page: &Page) -> u8 {
    page.page_size
}

#[tokio::test]
async fn a_struct_can_be_flattened() {
    let tools = tools![flattened, flattened_reference];
    let schema = &tools[0].spec().input_schema;
    assert_eq!(schema["required"], json!(["first", "pageSize", "last"]));
    assert_eq!(schema["properties"]["pageSize"]["description"], "How many.");
    let answer = call(&tools[0], json!({"first": 1, "pageSize": 2, "last": 3})).await;
    assert_eq!(answer, Ok(json!([1, {"pageSize": 2, "after": null}, 3])));
    let error = call(&tools[0], json!({"first": 1, "pagesize": 2, "last": 3})).await.unwrap_err();
    assert!(error.contains("did you mean `pageSize`?"), "{error}");
    assert_eq!(call(&tools[1], json!({"pageSize": 2})).await, Ok(json!(2)));
}

/// Let others through.
#[tool(additional_properties, register = false)]
fn open(a: u8) -> u8 {
    a
}

#[tokio::test]
async fn a_tool_can_accept_more_than_it_knows() {
    let tool = &tools![open][0];
    assert_eq!(tool.spec().input_schema["additionalProperties"], Value::Null);
    assert_eq!(call(tool, json!({"a": 1, "b": 2})).await, Ok(json!(1)));
}
