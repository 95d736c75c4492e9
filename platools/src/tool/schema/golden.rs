//! Snapshot tests of the schemas of common types, and tests that decoding agrees with them.

#![expect(dead_code, reason = "the fields are only described and read into")]

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::InputSchema;
use crate::tool::Arguments;
use crate::tool::arguments::reader::ArgumentReader;

/// Returns the schema of a tool with one argument of type `T`.
fn schema<T: DeserializeOwned + JsonSchema>() -> String {
    let mut input = InputSchema::new();
    let _ = input.argument::<T>("value", Some("The value."));
    let (schema, problems) = input.finish();
    assert_eq!(problems, Vec::<String>::new());
    serde_json::to_string_pretty(&schema).unwrap()
}

/// Decodes `value`; returns the error text if it is rejected.
fn takes<T: DeserializeOwned + JsonSchema>(value: &Value) -> Result<(), String> {
    let mut input = InputSchema::new();
    let _ = input.argument::<T>("value", None);
    let arguments = Arguments::try_from(json!({"value": value})).unwrap();
    let mut reader = ArgumentReader::new(&arguments, &input.names());
    let _ = reader.take::<T>("value");
    reader.finish().map_err(|error| error.message().to_owned())
}

macro_rules! golden {
    ($($name:ident: $type:ty, takes [$($good:tt),* $(,)?], rejects [$($bad:tt),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), schema::<$type>());
            let (good, bad): (&[Value], &[Value]) = (&[$(json!($good)),*], &[$(json!($bad)),*]);
            for value in good {
                assert_eq!(takes::<$type>(value), Ok(()), "{value}");
            }
            for value in bad {
                assert!(takes::<$type>(value).is_err(), "{value}");
            }
        }
    )*};
}

/// A place to send things to.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Address {
    /// Street and number.
    street_line: String,
    /// The country, two letters.
    #[schemars(length(equal = 2))]
    country: Option<String>,
}

/// Somebody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Customer {
    name: String,
    addresses: Vec<Address>,
    #[serde(default)]
    vip: bool,
}

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
    Point { x: i32, y: i32 },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Internal {
    Card { number: String },
    Cash,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "data")]
enum Adjacent {
    Text(String),
    Count(u64),
}

/// A struct with two enums flattened into it.
#[derive(Deserialize, JsonSchema)]
struct Payment {
    id: u8,
    #[serde(flatten)]
    how: Internal,
    #[serde(flatten)]
    extra: Option<External>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Id(u64),
    Name(String),
}

#[derive(Deserialize, JsonSchema)]
struct OrderId(String);

#[derive(Deserialize, JsonSchema)]
struct Pair(u8, String);

/// A folder and what is in it.
#[derive(Deserialize, JsonSchema)]
struct Folder {
    name: String,
    folders: Vec<Folder>,
}

golden! {
    nested_struct: Customer,
        takes [{"name": "a", "addresses": [{"streetLine": "x"}]}, {"name": "a", "addresses": [], "vip": true}],
        rejects [{"name": "a"}, {"name": "a", "addresses": [], "age": 7}, {"name": "a", "addresses": [{"street_line": "x"}]}, {"name": "a", "addresses": [{"streetLine": "x", "zip": 1}]}];
    optional_struct: Option<Address>, takes [null, {"streetLine": "x", "country": null}], rejects ["x", {"streetLine": "x", "zip": 1}];
    enum_of_names: Color, takes ["red", "dark_green"], rejects ["DarkGreen", 1];
    optional_enum: Option<Color>, takes ["red", null], rejects ["blue"];
    enum_externally_tagged: External,
        takes ["Nothing", {"Number": 7}, {"Point": {"x": 1, "y": -1}}], rejects ["Number", {"Number": 256}];
    enum_internally_tagged: Internal,
        takes [{"kind": "card", "number": "1"}, {"kind": "cash"}], rejects [{"kind": "card"}, {"number": "1"}, {"kind": "cash", "number": "1"}];
    enum_adjacently_tagged: Adjacent,
        takes [{"kind": "Text", "data": "x"}, {"kind": "Count", "data": 1}], rejects [{"kind": "Count", "data": "x"}];
    enum_untagged: Untagged, takes [7, "seven"], rejects [[], {}];
    map_of_numbers: BTreeMap<String, f64>, takes [{}, {"a": 1.5, "b": 2}], rejects [{"a": "one"}, []];
    map_of_structs: HashMap<String, OrderId>, takes [{"a": "ord-1"}], rejects [{"a": 1}];
    tuple: (u8, String), takes [[1, "a"]], rejects [[1], [1, "a", 2], {}];
    tuple_struct: Pair, takes [[1, "a"]], rejects [[1]];
    newtype: OrderId, takes ["ord-1"], rejects [1];
    bytes: Vec<u8>, takes [[], [0, 255]], rejects [[256], "AA=="];
    array: [u8; 3], takes [[1, 2, 3]], rejects [[1, 2]];
    whole_numbers: (i8, u16, i32, u32, i64, u64), takes [[1, 2, 3, 4, 5, 6]], rejects [[1.5, 2, 3, 4, 5, 6]];
    fractions: (f32, f64), takes [[1, 2.5]], rejects [["one", 2]];
    character: char, takes ["é"], rejects ["ab"];
    any_value: Value, takes [null, 1, [], {"a": []}], rejects [];
    enum_flattened: Payment,
        takes [{"id": 1, "kind": "cash"}, {"id": 1, "kind": "card", "number": "1", "Number": 7}],
        rejects [{"id": 1, "kind": "cash", "number": "1"}, {"id": 1, "kind": "cash", "paid": true}, {"id": 1}];
    recursive: Folder,
        takes [{"name": "a", "folders": [{"name": "b", "folders": []}]}], rejects [{"name": "a", "folders": [{}]}];
    date_and_time: chrono::DateTime<chrono::Utc>, takes ["2026-11-21T12:00:00Z"], rejects ["yesterday"];
    date: chrono::NaiveDate, takes ["2026-11-21"], rejects ["2026-13-01"];
    uuid: uuid::Uuid, takes ["67e55044-10b1-426f-9247-bb680e5fe0c8"], rejects ["67e55044"];
    address_on_the_web: url::Url, takes ["https://example.com/a"], rejects ["example"];
}

#[test]
fn a_flattened_struct_is_merged_with_the_other_arguments() {
    let mut input = InputSchema::new();
    let _ = input.argument::<u8>("before", None);
    input.flatten::<Customer>("customer");
    let _ = input.argument::<Option<Folder>>("after", None);
    let (schema, problems) = input.finish();
    assert_eq!(problems, Vec::<String>::new());
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}

#[test]
fn a_flattened_map_accepts_every_name() {
    let mut input = InputSchema::new();
    let _ = input.argument::<u8>("before", None);
    input.flatten::<BTreeMap<String, i64>>("rest");
    let names = input.names();
    insta::assert_snapshot!(serde_json::to_string_pretty(&input.finish().0).unwrap());
    let arguments = Arguments::from_json(r#"{"a":1,"before":2,"b":3}"#).unwrap();
    let mut reader = ArgumentReader::new(&arguments, &names);
    assert_eq!(reader.take::<u8>("before"), Some(2));
    let rest = reader.flatten::<BTreeMap<String, i64>>().unwrap();
    assert_eq!(rest, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 3)]));
    assert!(reader.finish().is_ok());
}

#[test]
fn a_default_and_constraints_are_keywords() {
    use crate::tool::arguments::constraint::{Length, Number, Range};

    let mut input = InputSchema::new();
    let range =
        Range { min: Some(Number::Float(0.5)), exclusive_max: Some(Number::Integer(10)), ..Range::default() };
    let _ = input.argument::<f64>("ratio", None).default_value(&1.5).range(range);
    let length = Length { min: Some(1), max: Some(3) };
    let _ = input.argument::<Option<String>>("text", None).length(length).pattern("^[a-z]+$");
    let _ = input.argument::<Vec<u8>>("list", None).length(length);
    let _ = input.argument::<BTreeMap<String, u8>>("map", None).length(length);
    let _ = input.argument::<Value>("anything", None).default_value(&json!({"a": 1}));
    let (schema, problems) = input.finish();
    assert_eq!(problems, Vec::<String>::new());
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}
