//! Tests of the error texts for arguments of every form.

#![expect(dead_code, reason = "the fields are only described and read into")]

use std::collections::BTreeMap;
use std::num::{NonZeroI8, NonZeroU8};
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Arguments;
use super::reader::ArgumentReader;
use super::tool_argument::ToolArgument;
use crate::tool::schema::InputSchema;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Color {
    Red,
    DarkGreen,
}

#[derive(Deserialize, JsonSchema)]
enum External {
    Nothing,
    Number(u8),
    Pair(u8, String),
    Point { x: i32, y: i32 },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Shape {
    Circle { radius: f64, tags: Vec<String> },
    Square { side: u8, color: Option<Color> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "data")]
enum Adjacent {
    Text(String),
    Many(Vec<u8>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    Id(u64),
    Name(String),
    Range { from: u8, to: u8 },
    Point { x: i32, y: i32 },
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    size: u8,
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Query {
    text: String,
    #[serde(flatten)]
    page: Page,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Deserialize, JsonSchema)]
struct Query2 {
    page: Page,
}

#[derive(Deserialize, JsonSchema)]
struct Pair(u8, String);

/// A place in a tree.
#[derive(Deserialize, JsonSchema)]
struct Folder {
    name: String,
    folders: Vec<Folder>,
    shape: Option<Shape>,
}

/// A formula, whose alternatives all begin alike.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Formula {
    Sum { left: Box<Formula>, right: Box<Formula>, sum: u8 },
    Product { left: Box<Formula>, right: Box<Formula>, product: u8 },
    Value(u8),
}

/// Returns the error text for `text` as the argument `value` of type `T`, without `invalid arguments: `.
fn said<T: ToolArgument>(text: &str) -> String {
    let mut input = InputSchema::new();
    let _ = input.argument::<T>("value", None);
    let arguments = Arguments::from_object_text(format!("{{\"value\":{text}}}"));
    let names = input.names();
    let mut reader = ArgumentReader::new(&arguments, &names);
    let _ = reader.take::<T>("value");
    let Err(error) = reader.finish() else { panic!("{text} is accepted") };
    error.message().to_owned()
}

/// Returns the error text for `text` with a flattened parameter of type `T`, without the list of accepted names.
fn said_flat<T: ToolArgument>(text: &str) -> String {
    let mut input = InputSchema::new();
    input.flatten::<T>("value");
    let arguments = Arguments::from_json(text).unwrap();
    let names = input.names();
    let mut reader = ArgumentReader::new(&arguments, &names);
    let _ = reader.flatten::<T>();
    let Err(error) = reader.finish() else { panic!("{text} is accepted") };
    let message = error.message().to_owned();
    message.split(" (accepted: ").next().unwrap_or_default().to_owned()
}

macro_rules! answers {
    ($($name:ident: $said:ident [$($type:ty, $sent:expr => $answer:expr;)*])*) => {$(
        #[test]
        fn $name() {
            let cases: &[(&str, String, &str)] =
                &[$((stringify!($type), $said::<$type>($sent), $answer)),*];
            for (of, said, answer) in cases {
                assert_eq!(said, answer, "{of}");
            }
        }
    )*};
}

answers! {
    names: said [
        Color, "3"
            => r#"`value`: expected one of "red", "dark_green", got the number 3"#;
        Color, r#"{"red": null, "a": 1}"#
            => r#"`value`: expected one of "red", "dark_green", got an object"#;
        Color, r#"["red"]"#
            => r#"`value`: expected one of "red", "dark_green", got an array"#;
        Color, "null"
            => r#"`value`: expected one of "red", "dark_green", got null"#;
        Color, r#""Red""#
            => "`value`: unknown value `Red`, expected `red` or `dark_green`, did you mean `red`?";
        Color, r#""blue""#
            => "`value`: unknown value `blue`, expected `red` or `dark_green`";
        Option<Color>, "true"
            => r#"`value`: expected one of "red", "dark_green", got true"#;
        Vec<Color>, r#"["red", 3]"#
            => r#"`value[1]`: expected one of "red", "dark_green", got the number 3"#;
        Page, r#"{"size": 1, "after": 2}"#
            => "`value.after`: expected a string, got the number 2";
    ]
    externally_tagged_enums: said [
        External, "3"
            => r#"`value`: expected one of "Nothing", {"Number": …}, {"Pair": …}, {"Point": …}, got the number 3"#;
        External, r#""Number""#
            => r#"`value`: expected an object {"Number": …}, got the string "Number" without a value"#;
        External, r#""Numbr""#
            => "`value`: unknown value `Numbr`, expected one of `Nothing`, `Number`, `Pair`, `Point`, did you mean `Number`?";
        External, r#"{"Nothing": {"a": 1}}"#
            => "`value.Nothing`: expected null, got an object";
        External, r#"{"Number": "x"}"#
            => r#"`value.Number`: expected an integer from 0 to 255, got the string "x""#;
        External, r#"{"Number": 300}"#
            => "`value.Number`: expected an integer from 0 to 255, got the number 300";
        External, r#"{"Pair": [1]}"#
            => "`value.Pair`: expected an array of 2 items, got an array of 1 item";
        External, r#"{"Pair": [1, 2]}"#
            => "`value.Pair[1]`: expected a string, got the number 2";
        External, r#"{"Pair": {"a": 1}}"#
            => "`value.Pair`: expected an array of 2 items, got an object";
        External, r#"{"Point": {"x": 1}}"#
            => "`value.Point.y` is missing, expected an integer";
        External, r#"{"Point": {"x": 1, "y": "two"}}"#
            => r#"`value.Point.y`: expected an integer from -2147483648 to 2147483647, got the string "two""#;
        External, r#"{"Point": {"x": 1, "y": 2, "z": 3}}"#
            => "`value.Point.z`: unknown field `z`, expected `x` or `y`";
        External, r#"{"Point": 7}"#
            => "`value.Point`: expected an object, got the number 7";
        External, r#"{"point": {}}"#
            => "`value`: unknown value `point`, expected one of `Nothing`, `Number`, `Pair`, `Point`, did you mean `Point`?";
        External, r#"{"Number": 1, "Pair": []}"#
            => r#"`value`: expected one of "Nothing", {"Number": …}, {"Pair": …}, {"Point": …}, got an object of 2 members"#;
        External, "{}"
            => r#"`value`: expected one of "Nothing", {"Number": …}, {"Pair": …}, {"Point": …}, got an object of 0 members"#;
    ]
    internally_tagged_enums: said [
        Shape, r#""circle""#
            => r#"`value`: expected an object whose `kind` is one of "circle", "square", got the string "circle""#;
        Shape, r#"{"radius": 1}"#
            => r#"`value.kind` is missing, expected one of "circle", "square""#;
        Shape, r#"{"kind": "cirle", "radius": 1}"#
            => "`value.kind`: unknown value `cirle`, expected `circle` or `square`, did you mean `circle`?";
        Shape, r#"{"kind": 7}"#
            => r#"`value.kind`: expected one of "circle", "square", got the number 7"#;
        Shape, r#"{"kind": "circle"}"#
            => "`value.radius` is missing, expected a number";
        Shape, r#"{"kind": "circle", "radius": 1, "tags": ["a", 2]}"#
            => "`value.tags[1]`: expected a string, got the number 2";
        Shape, r#"{"tags": ["a", 2], "radius": 1, "kind": "circle"}"#
            => "`value.tags[1]`: expected a string, got the number 2";
        Shape, r#"{"kind": "square", "side": 300}"#
            => "`value.side`: expected an integer from 0 to 255, got the number 300";
        Shape, r#"{"kind": "square", "side": 3, "color": "rde"}"#
            => "`value.color`: unknown value `rde`, expected `red` or `dark_green`, did you mean `red`?";
        Shape, r#"{"kind": "square", "side": 3, "radius": 5}"#
            => "`value.radius`: unknown field `radius`, expected one of `kind`, `side`, `color`";
        Shape, r#"{"kind": "square", "side": 3, "color": 5}"#
            => r#"`value.color`: expected one of "red", "dark_green", got the number 5"#;
        Option<Shape>, "7"
            => r#"`value`: expected an object whose `kind` is one of "circle", "square", got the number 7"#;
        BTreeMap<String, Shape>, r#"{"a": {"kind": "square"}}"#
            => "`value.a.side` is missing, expected an integer";
    ]
    adjacently_tagged_enums: said [
        Adjacent, r#""Text""#
            => r#"`value`: expected an object whose `kind` is one of "Text", "Many", got the string "Text""#;
        Adjacent, r#"{"kind": "Txt", "data": "x"}"#
            => "`value.kind`: unknown value `Txt`, expected `Text` or `Many`, did you mean `Text`?";
        Adjacent, r#"{"kind": "Text"}"#
            => "`value.data` is missing, expected a string";
        Adjacent, r#"{"data": "x"}"#
            => r#"`value.kind` is missing, expected one of "Text", "Many""#;
        Adjacent, r#"{"kind": "Many", "data": [1, "x"]}"#
            => r#"`value.data[1]`: expected an integer from 0 to 255, got the string "x""#;
        Adjacent, r#"{"data": [1, 256], "kind": "Many"}"#
            => "`value.data[1]`: expected an integer from 0 to 255, got the number 256";
        Adjacent, r#"{"kind": "Text", "data": "x", "date": 1}"#
            => "`value.date`: unknown field `date`, expected `kind` or `data`, did you mean `data`?";
        Adjacent, "[]"
            => r#"`value`: expected an object whose `kind` is one of "Text", "Many", got an array"#;
    ]
    untagged_enums: said [
        Either, "[]"
            => "`value`: expected an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`, got an array";
        Either, "-1"
            => "`value`: expected an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`, got the number -1";
        Either, "true"
            => "`value`: expected an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`, got true";
        Either, r#"{"from": 1}"#
            => "`value.to` is missing, expected an integer (`value` takes an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`)";
        Either, r#"{"from": 1, "to": 300}"#
            => "`value.to`: expected an integer from 0 to 255, got the number 300 (`value` takes an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`)";
        Either, r#"{"x": 1, "y": "a"}"#
            => r#"`value.y`: expected an integer, got the string "a" (`value` takes an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`)"#;
        Either, "{}"
            => "`value`: expected an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`, got an object";
        Either, r#"{"x": 1, "y": 2, "z": 3}"#
            => "`value.z`: unknown field `z`, expected `x` or `y`";
        Vec<Formula>, r#"[1, {"left": 1, "right": 2}]"#
            => "`value[1]`: expected an object with `left` and `right` and `sum` or an object with `left` and `right` and `product` or an integer from 0 to 255, got an object";
        Vec<Either>, "[1, null]"
            => "`value[1]`: expected an integer of at least 0 or a string or an object with `from` and `to` or an object with `x` and `y`, got null";
    ]
    flattened_fields: said [
        Query, r#"{"text": "a", "size": 1, "kind": "square", "side": "x"}"#
            => r#"`value.side`: expected an integer from 0 to 255, got the string "x""#;
        Query, r#"{"text": "a", "size": 300, "kind": "square", "side": 1}"#
            => "`value.size`: expected an integer from 0 to 255, got the number 300";
        Query, r#"{"text": "a", "kind": "square", "side": 1}"#
            => "`value.size` is missing, expected an integer";
        Query, r#"{"text": 7, "size": 1}"#
            => "`value.text`: expected a string, got the number 7";
        Query, r#"{"text": "a", "size": 1, "kind": "circle", "radius": 1, "tags": [0]}"#
            => "`value.tags[0]`: expected a string, got the number 0";
        Query, r#"{"text": "a", "size": 1}"#
            => r#"`value.kind` is missing, expected one of "circle", "square""#;
        Query, "[]"
            => "`value`: expected an object, got an array";
        Query, r#"{"text": "a", "size": 1, "kind": "square", "side": 1, "sort": 1}"#
            => "`value.sort`: unknown field `sort`, expected one of `text`, `size`, `after`, `kind`, `side`, `color`";
    ]
    forms_of_texts: said [
        DateTime<Utc>, r#""2026-01-01""#
            => r#"`value`: expected a date-time such as 2026-01-01T00:00:00Z, got the string "2026-01-01""#;
        DateTime<Utc>, "7"
            => "`value`: expected a date-time such as 2026-01-01T00:00:00Z, got the number 7";
        NaiveDate, r#""tomorrow""#
            => r#"`value`: expected a date such as 2026-01-01, got the string "tomorrow""#;
        NaiveDateTime, r#""2026-01-01""#
            => r#"`value`: expected a date-time without a zone such as 2026-01-01T00:00:00, got the string "2026-01-01""#;
        uuid::Uuid, r#""67e55044""#
            => r#"`value`: expected a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8, got the string "67e55044""#;
        uuid::Uuid, "{}"
            => "`value`: expected a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8, got an object";
        url::Url, r#""example""#
            => r#"`value`: expected a URL such as https://example.com/path, got the string "example""#;
        Vec<url::Url>, r#"["https://example.com/", "x y"]"#
            => r#"`value[1]`: expected a URL such as https://example.com/path, got the string "x y""#;
        std::net::IpAddr, r#""300.1.1.1""#
            => r#"`value`: expected an IP address such as 192.0.2.1, got the string "300.1.1.1""#;
        PathBuf, "3"
            => "`value`: expected a string, got the number 3";
        char, r#""ab""#
            => r#"`value`: expected a string of one character, got the string "ab""#;
        std::time::Duration, r#""5s""#
            => r#"`value`: expected an object, got the string "5s""#;
    ]
    numbers_and_lists: said [
        NonZeroU8, "0"
            => "`value`: expected an integer from 1 to 255, got the number 0";
        NonZeroI8, "0"
            => "`value`: expected an integer from -128 to 127 other than 0, got the number 0";
        NonZeroU8, r#""one""#
            => r#"`value`: expected an integer from 1 to 255, got the string "one""#;
        u32, "-1"
            => "`value`: expected an integer from 0 to 4294967295, got the number -1";
        i64, "1.5"
            => "`value`: expected an integer, got the number 1.5";
        Option<u8>, r#""x""#
            => r#"`value`: expected an integer from 0 to 255, got the string "x""#;
        f64, r#""one""#
            => r#"`value`: expected a number, got the string "one""#;
        i64, "9223372036854775808"
            => "`value`: expected an integer from -9223372036854775808 to 9223372036854775807, got the number 9223372036854775808";
        i64, "-1e30"
            => "`value`: expected an integer from -9223372036854775808 to 9223372036854775807, got the number -1e+30";
        u64, "99999999999999999999"
            => "`value`: expected an integer from 0 to 18446744073709551615, got the number 1e+20";
        (u8, String), "[1]"
            => "`value`: expected an array of 2 items, got an array of 1 item";
        (u8, String), r#"[1, "a", 2]"#
            => "`value`: expected an array of 2 items, got an array of 3 items";
        (u8, String), "[1, 2]"
            => "`value[1]`: expected a string, got the number 2";
        [u8; 3], "[1, 2]"
            => "`value`: expected an array of 3 items, got an array of 2 items";
        Pair, "[]"
            => "`value`: expected an array of 2 items, got an array of 0 items";
        Pair, "{}"
            => "`value`: expected an array of 2 items, got an object";
        (), "1"
            => "`value`: expected null, got the number 1";
    ]
    structs: said [
        Page, r#"{"after": "x"}"#
            => "`value.size` is missing, expected an integer";
        Page, r#"{"size": "x"}"#
            => r#"`value.size`: expected an integer from 0 to 255, got the string "x""#;
        Folder, r#"{"name": "a", "folders": [{"name": "b", "folders": [{}]}]}"#
            => "`value.folders[0].folders[0].name` is missing, expected a string";
        Folder, r#"{"name": "a", "folders": [{"name": "b", "folders": [], "shape": {"kind": "square", "side": []}}]}"#
            => "`value.folders[0].shape.side`: expected an integer from 0 to 255, got an array";
        Page, r#""x""#
            => r#"`value`: expected an object, got the string "x""#;
        Page, r#"{"size": 1, "aftr": "x"}"#
            => "`value.aftr`: unknown field `aftr`, expected `size` or `after`, did you mean `after`?";
        Vec<Page>, r#"[{"size": 1, "a": 1}, {"size": 1, "b": {"c": 1}}]"#
            => "`value[0].a`: unknown field `a`, expected `size` or `after`; `value[1].b`: unknown field `b`, expected `size` or `after`";
        BTreeMap<String, Page>, r#"{"one": {"size": 1, "Size": 2}}"#
            => "`value.one.Size`: unknown field `Size`, expected `size` or `after`, did you mean `size`?";
        Folder, r#"{"name": "a", "folders": [{"name": "b", "folders": [], "files": []}]}"#
            => "`value.folders[0].files`: unknown field `files`, expected one of `name`, `folders`, `shape`";
        Folder, r#"{"name": "a", "folders": [], "shape": {"kind": "square", "side": 1, "tags": []}}"#
            => "`value.shape.tags`: unknown field `tags`, expected one of `kind`, `side`, `color`";
    ]
    json_texts: said [
        Page, r#""{\"size\": \"x\"}""#
            => r#"`value.size`: expected an integer from 0 to 255, got the string "x""#;
        Page, r#""{\"size\": 1, \"sice\": 2}""#
            => "`value.sice`: unknown field `sice`, expected `size` or `after`, did you mean `size`?";
        u8, r#""300""#
            => "`value`: expected an integer from 0 to 255, got the number 300";
        u8, r#""1.5""#
            => r#"`value`: expected an integer from 0 to 255, got the string "1.5""#;
        Vec<u8>, r#""\"[1]\"""#
            => r#"`value`: expected an array, got the string "\"[1]\"""#;
        Vec<u8>, r#""{}""#
            => r#"`value`: expected an array, got the string "{}""#;
        Vec<Vec<u8>>, r#""[\"[1]\"]""#
            => r#"`value[0]`: expected an array, got the string "[1]""#;
        bool, r#""true""#
            => r#"`value`: expected a boolean, got the string "true""#;
    ]
    flattened_parameters: said_flat [
        Query2, r#"{"page": {"size": 1, "limit": 2}}"#
            => "`page.limit`: unknown field `limit`, expected `size` or `after`";
        Page, "{}"
            => "`size` is missing, expected an integer";
        Page, r#"{"size": "x"}"#
            => r#"`size`: expected an integer from 0 to 255, got the string "x""#;
        Page, r#"{"size": 1, "after": 3}"#
            => "`after`: expected a string, got the number 3";
    ]
}

#[test]
fn large_and_deep_input_gets_a_short_answer() {
    let nested = |open: &str, inner: &str, close: &str, depth| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let key = format!("{{\"{}\":", "k".repeat(1_000));
    let text = serde_json::to_string(&"x".repeat(1_000_000)).unwrap();
    let folder = r#"{"name":"a","folders":["#;
    let cases = [
        (said::<Folder>(&nested(folder, "", "]}", 64)), "nested too deeply, the maximum is 127 levels"),
        (said::<Shape>(&nested("[", "", "]", 128)), "expected the name of an alternative as a string"),
        (said::<Either>(&nested("[", "", "]", 128)), "nested too deeply"),
        (said::<Folder>(&nested(folder, "7", "]}", 60)), "expected an object, got the number 7"),
        (
            said::<BTreeMap<String, BTreeMap<String, u8>>>(&nested(&key, "\"\"", "}", 2)),
            "got the string \"\"",
        ),
        (said::<Color>(&text), "expected `red` or `dark_green`"),
        (said::<External>(&format!("{{{text}:1}}")), "unknown value `xxx"),
        (said::<Either>(&format!("[{text}]")), "got an array"),
        (said::<uuid::Uuid>(&text), "expected a UUID"),
        (
            said::<Vec<u8>>(&format!("[{}\"x\"]", "1,".repeat(500_000))),
            "`value[500000]`: expected an integer",
        ),
    ];
    for (said, part) in cases {
        let begin: String = said.chars().take(1_000).collect();
        assert!(said.contains(part), "{part}: {begin}");
        assert!(said.len() < 1_000, "{} bytes: {begin}", said.len());
    }
}

#[test]
fn nested_alternatives_are_bounded() {
    let mut input = InputSchema::new();
    let _ = input.argument::<Formula>("value", None);
    let names = input.names();
    let mut value = json!("x");
    for _ in 0..100 {
        value = json!({"left": value, "right": 1, "sum": 1});
    }
    let find = |value: &serde_json::Value| {
        super::mismatch::find(&names.properties["value"], &names.definitions, value, "value", "value")
    };
    assert!(find(&value).is_none());
    let value = json!({"left": {"left": 1, "right": 300, "product": 1}, "right": 1, "sum": 1});
    assert_eq!(find(&value).unwrap().path, "value.left.right");
}

/// Decodes `text` as the argument `value` of type `T`.
fn taken<T: ToolArgument>(text: &str) -> Result<T, String> {
    let mut input = InputSchema::new();
    let _ = input.argument::<T>("value", None);
    let arguments = Arguments::from_json(format!("{{\"value\":{text}}}")).unwrap();
    let names = input.names();
    let mut reader = ArgumentReader::new(&arguments, &names);
    let value = reader.take::<T>("value");
    reader.finish().map_err(|error| error.message().to_owned())?;
    Ok(value.unwrap())
}

#[test]
fn a_json_text_is_decoded_where_no_text_is_allowed() {
    assert_eq!(taken::<Vec<u8>>(r#""[1, 2]""#), Ok(vec![1, 2]));
    assert_eq!(taken::<u8>(r#"" 7 ""#), Ok(7));
    assert_eq!(taken::<Option<f64>>(r#""1.5e3""#), Ok(Some(1_500.0)));
    assert_eq!(taken::<Vec<i64>>(r#"["-1", 2]"#), Ok(vec![-1, 2]));
    assert_eq!(taken::<(u8, String)>(r#"["1", "2"]"#), Ok((1, "2".to_owned())));
    assert_eq!(taken::<BTreeMap<String, u8>>(r#"{"a": "1"}"#).unwrap()["a"], 1);
    assert_eq!(taken::<Option<Page>>(r#""{\"size\": 3}""#).unwrap().unwrap().size, 3);
    assert_eq!(taken::<Vec<Folder>>(r#"[{"name": "1", "folders": "[]"}]"#).unwrap()[0].name, "1");
    let shape = taken::<Option<Shape>>(r#"{"kind": "circle", "radius": "2.5", "tags": "[\"3\"]"}"#);
    assert!(matches!(shape, Ok(Some(Shape::Circle { radius: 2.5, tags })) if tags == ["3"]));
    let external = taken::<External>(r#"{"Point": "{\"x\": 1, \"y\": 2}"}"#);
    assert!(matches!(external, Ok(External::Point { x: 1, y: 2 })));
    // What stands beside it keeps its digits.
    let most = u128::MAX;
    assert_eq!(taken::<Vec<u128>>(&format!("[\"1\", {most}, \"{most}\"]")), Ok(vec![1, most, most]));
    let least = i128::MIN;
    let members = format!("{{ \"a\\\"\" : \"-1\", \"b\": {least} }}");
    assert_eq!(
        taken::<BTreeMap<String, i128>>(&members).unwrap(),
        [("a\"".to_owned(), -1), ("b".to_owned(), least)].into()
    );
    assert_eq!(
        taken::<(Vec<u8>, BTreeMap<String, u8>, u8)>(r#"[[], {}, "3"]"#),
        Ok((vec![], BTreeMap::new(), 3))
    );
    // A text is a text where one is allowed.
    assert_eq!(taken::<String>(r#""[1]""#), Ok("[1]".to_owned()));
    assert!(matches!(taken::<Either>(r#""1""#), Ok(Either::Name(name)) if name == "1"));
    assert_eq!(taken::<serde_json::Value>(r#""[1]""#), Ok(json!("[1]")));
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Renamed {
    #[serde(alias = "orderId", alias = "order")]
    order_id: String,
    #[serde(default, alias = "innerValue")]
    inner: Option<Box<Renamed>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Bag {
    size: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// Takes what it does not know, and ignores it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
struct Lenient {
    size: u8,
}

#[test]
fn a_type_may_know_further_names_and_take_further_fields() {
    let renamed = taken::<Vec<Renamed>>(r#"[{"orderId": "a", "innerValue": {"order": "b"}}]"#).unwrap();
    assert_eq!(renamed[0].inner.as_ref().unwrap().order_id, "b");
    let mixed =
        taken::<Renamed>(r#"{"orderId": "a", "inner": {"order": "b", "odrer": 1}, "x": 2}"#).unwrap_err();
    assert_eq!(
        mixed,
        "`value.inner.odrer`: unknown field `odrer`, expected `order_id` or `inner`; \
         `value.x`: unknown field `x`, expected `order_id` or `inner`"
    );
    assert_eq!(taken::<Bag>(r#"{"size": 1, "a": 2, "b": {"c": 3}}"#).unwrap().rest.len(), 2);
    assert_eq!(taken::<Option<Lenient>>(r#"{"size": 1, "a": 2}"#).unwrap().unwrap().size, 1);
    let nested = taken::<BTreeMap<String, Vec<Lenient>>>(r#"{"a": [{"size": 1, "b": 2}]}"#).unwrap();
    assert_eq!(nested["a"].len(), 1);
    let (schema, _) = {
        let mut input = InputSchema::new();
        let _ = input.argument::<Lenient>("lenient", None);
        let _ = input.argument::<Bag>("bag", None);
        let _ = input.argument::<Page>("page", None);
        input.finish()
    };
    let openness = ["lenient", "bag", "page"].map(|name| &schema["properties"][name]["additionalProperties"]);
    assert_eq!(openness, [&json!(true), &json!(true), &json!(false)]);
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Country {
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    A8,
    A9,
    B1,
    B2,
    B3,
    B4,
    B5,
    B6,
    B7,
    B8,
    B9,
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
}

#[test]
fn all_variants_are_listed() {
    for sent in ["7", "\"D1\""] {
        let said = said::<Country>(sent);
        assert!(["A1", "B5", "C9"].iter().all(|variant| said.contains(variant)), "{said}");
    }
}

#[test]
fn a_missing_argument_is_described() {
    let mut input = InputSchema::new();
    let _ = input.argument::<Color>("color", None);
    let _ = input.argument::<Folder>("folder", None);
    let _ = input.argument::<DateTime<Utc>>("at", None);
    let _ = input.argument::<u8>("count", None);
    let names = input.names();
    let arguments = Arguments::empty();
    let mut reader = ArgumentReader::new(&arguments, &names);
    let _ = (reader.take::<Color>("color"), reader.take::<Folder>("folder"));
    let _ = (reader.take::<DateTime<Utc>>("at"), reader.take::<u8>("count"));
    assert_eq!(
        reader.finish().unwrap_err().message(),
        "`color` is missing, expected one of \"red\", \"dark_green\"; `folder` is missing, expected an object; \
         `at` is missing, expected a date-time such as 2026-01-01T00:00:00Z; `count` is missing, expected an \
         integer (accepted: `color`, `folder`, `at`, `count`)"
    );
}

#[test]
fn without_a_schema_no_rust_type_is_named() {
    fn said<T: serde::de::DeserializeOwned>(text: &str) -> String {
        super::explain::parse::<T>(text, "value").err().expect("rejected").into_problem()
    }
    let cases = [
        (said::<Either>("[]"), "`value`: matches none of the accepted forms"),
        (said::<Color>("3"), "`value`: expected a value of another type"),
        (said::<NonZeroU8>("0"), "`value`: expected an integer from 0 to 255 other than 0, got the number 0"),
        (said::<PathBuf>("3"), "`value`: expected a string, got the number 3"),
        (said::<Pair>("[1]"), "`value`: expected an array of 2 items, got 1 items"),
        (said::<Pair>("{}"), "`value`: expected an array, got an object"),
        (said::<Shape>("7"), "`value`: expected an object, got the number 7"),
        (said::<Adjacent>("7"), "`value`: expected an object, got the number 7"),
        (said::<External>(r#"{"Pair": 1}"#), "`value.Pair`: expected an array, got the number 1"),
        (said::<External>(r#""Pair""#), "`value.Pair`: expected an array, got a name without a value"),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[cfg(feature = "metrics")]
#[test]
fn a_decoded_text_is_counted() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        assert_eq!(taken::<Vec<u8>>("[1]"), Ok(vec![1]));
        assert_eq!(taken::<Vec<u8>>(r#""[1]""#), Ok(vec![1]));
        assert!(taken::<Vec<u8>>(r#""one""#).is_err());
        // Decoded, and refused all the same.
        assert!(taken::<Vec<u8>>(r#""[1, 300]""#).is_err());
        assert!(taken::<Page>(r#"{"size": "1", "siez": 2}"#).is_err());
    });
    let counted = snapshotter.snapshot().into_vec();
    let figures: Vec<_> = counted.iter().map(|(key, _, _, value)| (key.key().name(), value)).collect();
    assert_eq!(figures, [("platools_arguments_decoded_total", &DebugValue::Counter(1))]);
}

#[test]
fn arguments_that_are_nested_too_deep_are_none() {
    use super::ArgumentsError;

    let nested = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(Arguments::from_json(nested(127)).is_ok());
    for depth in [128, 400_000] {
        let text = nested(depth);
        assert_eq!(Arguments::from_json(text.as_str()), Err(ArgumentsError::TooDeep));
        let raw: &serde_json::value::RawValue = serde_json::from_str(&text).unwrap();
        assert_eq!(Arguments::try_from(raw), Err(ArgumentsError::TooDeep));
    }
}
