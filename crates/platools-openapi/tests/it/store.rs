//! The tools of the store's operations.

use platools::tool::check_name;
use platools_openapi::{Document, Operation, Selection, import};
use serde_json::json;

use super::{ODD, PETSTORE, imported, operation};

fn names(operations: &[Operation]) -> Vec<&str> {
    operations.iter().map(|operation| operation.name.as_str()).collect()
}

#[test]
fn every_operation_that_can_be_called_becomes_a_tool_and_the_others_are_said() {
    let import = imported(PETSTORE, &Selection::default());
    let expected = [
        "listPets",
        "addPet",
        "getPet",
        "replacePet",
        "deletePet",
        "addRelatives",
        "post_login",
        "writeNote",
    ];
    assert_eq!(names(&import.operations), expected);
    let warnings: Vec<_> = import.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "at `/paths/~1pets~1{petId}/head`: HEAD is no tool; it is left out",
            "at `/paths/~1pets~1{petId}~1photo/post`: the operation is left out: its body is multipart/mixed, and only \
             JSON, forms, texts and files are sent",
        ]
    );
    for operation in &import.operations {
        jsonschema::draft202012::new(&operation.input_schema).unwrap();
        assert_eq!(operation.server.as_deref(), Some("https://eu.pets.example/v1"));
    }
}

#[test]
fn parameters_and_body_stand_side_by_side_in_2020_12() {
    let list = operation("listPets");
    let expected = json!({
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "exclusiveMinimum": 0, "description": "How many."},
            "tags": {"type": "array", "items": {"type": "string"}},
            "filter": {"type": "object", "properties": {
                "status": {"type": ["string", "null"], "enum": ["free", "sold", null], "examples": ["free"]}}},
            "X-Request-Id": {"type": "string"},
            "session": {"type": "string"},
        },
        "additionalProperties": false,
    });
    assert_eq!(*list.input_schema, expected);
    let add = operation("addPet");
    let expected = json!({
        "type": "object",
        "properties": {
            "X-Request-Id": {"type": "string"},
            "name": {"type": "string", "minLength": 1},
            "status": {"type": ["string", "null"], "enum": ["free", "sold", null], "examples": ["free"]},
            "born": {"type": ["string", "null"], "format": "date"},
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    assert_eq!(*add.input_schema, expected);
    let properties = add.output_schema.unwrap().to_string();
    assert!(properties.contains("\"id\"") && !properties.contains("secret"), "{properties}");
}

#[test]
fn names_that_collide_make_the_body_one_argument_and_what_contains_itself_stays_a_definition() {
    let replace = operation("replacePet").input_schema;
    assert_eq!(replace["required"], json!(["petId", "body"]));
    assert_eq!(replace["properties"]["body"]["properties"]["petId"], json!({"type": "integer"}));
    let relatives = operation("addRelatives").input_schema;
    assert_eq!(relatives["required"], json!(["petId"]), "the body may be left out");
    assert!(relatives["properties"].get("body").is_none(), "nothing collides: {relatives}");
    for children in
        [&relatives["properties"]["children"], &relatives["$defs"]["Family"]["properties"]["children"]]
    {
        assert_eq!(*children, json!({"type": "array", "items": {"$ref": "#/$defs/Family"}}));
    }
}

#[test]
fn bodies_stand_beside_parameters_and_empty_ones_vanish_and_credentials_are_no_arguments() {
    let text = br#"
openapi: 3.1.0
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Shop-Key}
    session: {type: apiKey, in: cookie, name: sid}
    query: {type: apiKey, in: query, name: api_key}
    token: {type: http, scheme: bearer}
paths:
  /calls:
    get:
      operationId: listCalls
      parameters:
        - {name: "DateCreated<", in: query, schema: {type: string}}
        - {name: "DateCreated", in: query, schema: {type: string}}
        - {name: "DateCreated>", in: query, schema: {type: string}}
        - {name: x-shop-key, in: header, required: true, schema: {type: string}}
        - {name: sid, in: cookie, schema: {type: string}}
        - {name: api_key, in: query, schema: {type: string}}
        - {name: sid, in: query, schema: {type: string}}
    post:
      operationId: addCall
      requestBody:
        content:
          application/json:
            schema: {type: object, required: [to, from], properties: {to: {type: string}, from: {type: string}, note: {}}}
    delete:
      operationId: dropCalls
      requestBody:
        content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {}}}}
    put:
      operationId: setCalls
      requestBody:
        content: {application/json: {schema: {type: object}}}
"#;
    let import = imported(std::str::from_utf8(text).unwrap(), &Selection::default());
    let find = |name: &str| import.operations.iter().find(|operation| operation.name == name).unwrap();
    let names = |name: &str| {
        let properties = find(name).input_schema["properties"].as_object().unwrap().clone();
        properties.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names("listCalls"), ["DateCreated_lt", "DateCreated", "DateCreated_gt", "sid"]);
    let hidden = import.warnings.iter().filter(|warning| warning.text.contains("is a credential")).count();
    assert_eq!(hidden, 3, "{:?}", import.warnings);
    assert_eq!(names("addCall"), ["to", "from", "note"]);
    assert!(find("addCall").input_schema.get("required").is_none());
    assert_eq!(names("dropCalls"), [""; 0]);
    assert_eq!(names("setCalls"), ["body"], "an object of any kind");

    let request = |name: &str, arguments: serde_json::Value| {
        find(name).request(arguments.as_object().unwrap()).map_err(|error| error.to_string())
    };
    let sent = request("listCalls", json!({"DateCreated_lt": "2", "DateCreated_gt": "1"})).unwrap();
    assert_eq!(sent.query, "DateCreated%3C=2&DateCreated%3E=1");
    assert_eq!(request("addCall", json!({})).unwrap().body, None);
    assert_eq!(request("dropCalls", json!({})).unwrap().body, None);
    let whole = request("addCall", json!({"to": "a", "from": "b"})).unwrap().body.unwrap();
    assert_eq!(whole.1, br#"{"to":"a","from":"b"}"#);
    let part = request("addCall", json!({"note": 1, "to": "a"})).unwrap_err();
    assert!(part.starts_with("`from` is missing: it has to be there beside `"), "{part}");
}

#[test]
fn descriptions_come_from_summary_and_description() {
    let list = operation("listPets");
    assert_eq!(list.description, "List pets.\n\nThose in the shop, the newest first.");
    assert_eq!((list.title.as_deref(), list.tags), (Some("List pets"), vec!["pets".to_owned()]));
    assert_eq!(operation("getPet").description, "GET /pets/{petId}");
    assert!(operation("deletePet").deprecated);
}

#[test]
fn operations_are_chosen_by_tag_id_and_path() {
    let chosen = |change: fn(&mut Selection)| {
        let mut selection = Selection::default();
        change(&mut selection);
        let import = imported(PETSTORE, &selection);
        names(&import.operations).join(" ")
    };
    assert_eq!(chosen(|selection| selection.tags = vec!["people".to_owned()]), "post_login writeNote");
    assert_eq!(chosen(|selection| selection.operations = vec!["getPet".to_owned()]), "getPet");
    assert_eq!(chosen(|selection| selection.paths = vec!["GET /pets/**".to_owned()]), "listPets getPet");
    assert_eq!(
        chosen(|selection| {
            selection.read_only = true;
            selection.prefix = "shop_".to_owned();
        }),
        "shop_listPets shop_getPet"
    );
    assert!(!chosen(|selection| selection.skip_deprecated = true).contains("deletePet"));
    let mut selection = Selection::default();
    selection.tags = vec!["pet".to_owned()];
    let import = imported(PETSTORE, &selection);
    assert_eq!(import.warnings[0].to_string(), "no operation has the tag `pet`, did you mean `pets`?");
    assert_eq!(import.warnings.last().unwrap().to_string(), "no operation becomes a tool");
    selection.paths = vec!["pets".to_owned()];
    let document = Document::parse(PETSTORE.as_bytes()).unwrap();
    assert!(import_error(&document, &selection).contains("does not begin with `/`"));
}

fn import_error(document: &Document, selection: &Selection) -> String {
    import(document, selection).unwrap_err().to_string()
}

#[test]
fn odd_documents_yield_what_can_be_had_and_a_warning_for_the_rest() {
    let import = imported(ODD, &Selection::default());
    assert_eq!(names(&import.operations), ["same", "loop", "elsewhere", "same_2"]);
    for operation in &import.operations {
        check_name(&operation.name).unwrap();
        jsonschema::draft202012::new(&operation.input_schema).unwrap();
    }
    let properties = &import.operations[0].input_schema["properties"];
    assert_eq!(*properties, json!({"id": {"type": "string"}, "id_query": {"type": ["string", "null"]}}));
    let warnings: Vec<_> = import.warnings.iter().map(ToString::to_string).collect();
    for part in [
        "get/parameters`: the path has no `{other}`",
        "get/parameters`: `{id}` is not declared",
        "get/parameters/2`: the header `Host`",
        "get/parameters/3`: `in` cannot be `querystring`",
        "get/parameters/4`: a parameter without `name`",
        "post`: the operation is left out: a parameter is unknown: `#/components/parameters/None` leads nowhere",
        "~1f/get`: the id `same` is that of `/paths/~1a~1{id}/get`, too",
        "Loop`: this schema is defined by itself",
        "`other.json#/Pet` leads to another document, which is not followed: bundle",
        "delete`: this is no operation",
        "~1b?x=1/get`: the operation is left out: its path is none",
        "~1..~1c/get`: the operation is left out: its path holds",
        "no-slash/get`: the operation is left out: its path is none",
        "at `/paths/~1d`: this is no object",
        "at `/paths/~1e`: its references lead in a circle",
        "~1f/get/requestBody`: a GET sends no body",
        "~1f/get/responses/200`: `#/nothing` leads nowhere",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}\n{}", warnings.join("\n"));
    }
}
