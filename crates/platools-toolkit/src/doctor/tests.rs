//! Each rule on tools that break it and on tools that come close.

use std::time::Duration;

use platools::tool::Auth;
use platools::{Tool, ToolOutput, ToolSpec, tool, tools};
use serde_json::{Value, json};

use super::*;
use crate::Layout;

fn report_of(specs: impl IntoIterator<Item = ToolSpec>, options: &Options) -> Report {
    let mut registry = Registry::new();
    let tools = specs.into_iter().map(|spec| Tool::new(spec, |_| async { Ok(ToolOutput::null()) }));
    registry.extend(tools).unwrap();
    examine(&registry, options)
}

/// A tool that no rule has anything to say about.
fn good(name: &str) -> ToolSpec {
    ToolSpec::new(name)
        .description(format!("What only the tool called {name:?} does for its callers."))
        .output_schema(json!({"type": "boolean"}))
}

/// One with required parameters.
fn taking(name: &str, parameters: &[(&str, Value)]) -> ToolSpec {
    let described = parameters.iter().map(|(name, schema)| {
        let mut schema = schema.clone();
        if schema.is_object() && schema.get("description").is_none() {
            schema["description"] = json!("What the caller means by it.");
        }
        ((*name).to_owned(), schema)
    });
    let required: Vec<_> = parameters.iter().map(|(name, _)| *name).collect();
    let properties = Value::Object(described.collect());
    let description = format!("{} Takes {}.", good(name).description, required.join(", "));
    good(name).description(description).input_schema(json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    }))
}

/// And fields that it returns.
fn returning(spec: ToolSpec, fields: &[&str]) -> ToolSpec {
    let fields: serde_json::Map<_, _> =
        fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
    spec.output_schema(json!({"type": "object", "properties": fields}))
}

/// The findings in some tools: severity, code, tool and parameter of each.
fn found(specs: impl IntoIterator<Item = ToolSpec>) -> Vec<String> {
    found_with(specs, &Options::new())
}

fn found_with(specs: impl IntoIterator<Item = ToolSpec>, options: &Options) -> Vec<String> {
    let report = report_of(specs, options);
    let line = |finding: &Finding| {
        let place: Vec<_> = finding.tool.iter().chain(&finding.parameter).map(String::as_str).collect();
        format!("{:?} {} {}", finding.severity, finding.rule, place.join(".")).trim_end().to_owned()
    };
    report.findings.iter().map(line).collect()
}

fn text() -> Value {
    json!({"type": "string"})
}

#[test]
fn an_ordinary_tool_is_healthy() {
    let specs = [
        taking("search", &[("text", text()), ("price", json!({"type": "number"}))]),
        taking(
            "lookup",
            &[("order_id", json!({"type": "string", "description": "The order, such as `ord-1042`."}))],
        ),
        taking("choose", &[("colour_id", json!({"type": "string", "enum": ["red", "blue"]}))]),
    ];
    assert_eq!(found(specs), [""; 0]);
}

#[test]
fn an_id_that_nothing_returns_is_a_warning_unless_a_mark_says_more() {
    let with_mark = |mark: bool| json!({"type": "string", "x-user-providable": mark});
    assert_eq!(
        found([taking("cancel", &[("order_id", text())])]),
        ["Warning unreachable_param cancel.order_id"]
    );
    assert_eq!(
        found([taking("cancel", &[("order", json!({"type": "string", "format": "uuid"}))])]),
        ["Warning unreachable_param cancel.order"]
    );
    assert_eq!(found([taking("cancel", &[("order_id", with_mark(true))])]), [""; 0]);
    assert_eq!(
        found([taking("cancel", &[("order_id", with_mark(false))])]),
        ["Error unreachable_param cancel.order_id"]
    );
    // The mark holds for what is no id, too.
    assert_eq!(
        found([taking("cancel", &[("reason", with_mark(false))])]),
        ["Error unreachable_param cancel.reason"]
    );
    let returned = returning(good("open_orders"), &["orderId"]);
    assert_eq!(found([taking("cancel", &[("order_id", with_mark(false))]), returned.clone()]), [""; 0]);
    // Its own result is none.
    let own = returning(taking("cancel", &[("order_id", text())]), &["order_id"]);
    assert_eq!(found([own]), ["Warning unreachable_param cancel.order_id"]);
    // What may be left out is no obstacle.
    let optional = good("cancel").description("Cancels an order by its id.").input_schema(json!({
        "type": "object",
        "properties": {"order_id": {"type": "string", "description": "Only this one order."}},
    }));
    assert_eq!(found([optional]), [""; 0]);
}

#[test]
fn the_id_in_a_list_is_the_id_of_what_is_listed() {
    let list = good("my_orders").output_schema(json!({
        "type": "array", "maxItems": 10, "items": {"type": "object", "properties": {"id": {"type": "string"}}},
    }));
    let cancel = |parameter: &str| taking("cancel_order", &[(parameter, text())]);
    assert_eq!(found([list.clone(), cancel("order_id")]), [""; 0]);
    assert_eq!(found([list.clone(), cancel("id")]), [""; 0]);
    assert_eq!(found([list, cancel("customer_id")]), ["Warning unreachable_param cancel_order.customer_id"]);
}

#[test]
fn a_parameter_that_takes_no_value_is_an_error() {
    for schema in [json!(false), json!({"enum": []})] {
        let lines = found([taking("never", &[("choice", schema)])]);
        assert!(lines.contains(&"Error unreachable_param never.choice".to_owned()), "{lines:?}");
    }
    let missing = good("never").input_schema(
        json!({"type": "object", "properties": {}, "required": ["ghost"], "additionalProperties": false}),
    );
    assert_eq!(found([missing]), ["Error unreachable_param never.ghost"]);
}

#[test]
fn the_caller_s_own_id_comes_from_the_context() {
    let report = report_of([taking("greet", &[("user_id", text())])], &Options::new());
    assert!(report.findings[0].fix.contains("`CallContext` and use `user_id()`"), "{report:?}");
}

#[test]
fn types_differ_when_no_type_fits() {
    let count = |kind: Value| taking("order", &[("pieces", json!({"type": kind}))]);
    let stock = |kind: Value| {
        good("stock").output_schema(json!({"type": "object", "properties": {"pieces": {"type": kind}}}))
    };
    assert_eq!(
        found([count(json!("integer")), stock(json!("string"))]),
        ["Warning type_mismatch order.pieces"]
    );
    assert_eq!(found([count(json!("number")), stock(json!("integer"))]), [""; 0]);
    assert_eq!(found([count(json!("integer")), stock(json!(["integer", "null"]))]), [""; 0]);
    assert_eq!(
        found([count(json!("integer")), stock(json!("number"))]),
        ["Warning type_mismatch order.pieces"]
    );
}

#[test]
fn a_circle_that_nobody_can_enter_is_reported_at_each_member() {
    let tool = |name: &str, takes: &str, returns: &str, marked: bool| {
        let schema = if marked { json!({"type": "string", "x-user-providable": false}) } else { text() };
        returning(taking(name, &[(takes, schema)]), &[returns])
    };
    let pages =
        |marked| [tool("merge", "split_id", "page_id", marked), tool("split", "page_id", "split_id", marked)];
    assert_eq!(found(pages(true)), ["Error circular_dependency merge", "Error circular_dependency split"]);
    assert_eq!(
        found(pages(false)),
        ["Warning circular_dependency merge", "Warning circular_dependency split"]
    );
    let report = report_of(pages(true), &Options::new());
    assert_eq!(report.findings[0].message, "circular dependency: merge → split → merge");
    assert_eq!((report.healthy(), report.exit_code()), (0, 1));

    // A tool behind the circle waits for it, but is no part of it.
    let behind = tool("print", "page_id", "sheet", true);
    assert_eq!(found(pages(true).into_iter().chain([behind])).len(), 2);
    // One way in is enough.
    let entry = returning(good("find_page"), &["page_id"]);
    let lines = found(pages(true).into_iter().chain([entry]));
    assert_eq!(lines, ["Info ambiguous_output"]);
    // What people can type is no link of a chain.
    let typed = [
        returning(taking("a", &[("title", text())]), &["name"]),
        returning(taking("b", &[("name", text())]), &["title"]),
    ];
    assert_eq!(found(typed), [""; 0]);
}

#[test]
fn descriptions_are_there_say_something_and_differ() {
    let described = |text: &str| found([good("lookup_order").description(text)]);
    for (description, expected) in [
        ("", "Warning short_tool_description lookup_order"),
        ("Lookup of the orders.", "Warning vague_description lookup_order"),
        ("TODO: describe this", "Warning vague_description lookup_order"),
        (&"Reads an order. ".repeat(65), "Warning long_tool_description lookup_order"),
    ] {
        assert_eq!(described(description), [expected], "{description}");
    }
    assert_eq!(described("Look it up by its id."), [""; 0]);
    let parameter = |text: &str| {
        let schema = json!({"type": "integer", "description": text});
        found([taking("lookup", &[("line_limit", schema)])])
    };
    assert_eq!(parameter("Lines."), ["Warning short_param_description lookup.line_limit"]);
    assert_eq!(parameter("The limit of the lines."), ["Warning vague_description lookup.line_limit"]);
    assert_eq!(parameter("How many lines to return."), [""; 0]);

    let same = |name: &str, text: &str| good(name).description(text);
    assert_eq!(
        found([same("a", "Find an order by id."), same("b", "Find an order, by ID")]),
        ["Warning duplicate_description b"]
    );
    assert_eq!(found([same("a", "Find an order by id."), same("b", "Find an order by name.")]), [""; 0]);
}

#[test]
fn a_description_beside_a_reference_counts() {
    let spec = good("file").description("Opens the file of a name.").input_schema(json!({
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/Name", "description": "The name of the file."}},
        "$defs": {"Name": {"type": "string"}},
    }));
    assert_eq!(found([spec]), [""; 0]);
}

#[test]
fn a_name_that_promises_a_loss_wants_a_hint() {
    assert_eq!(found([good("delete_order")]), ["Warning missing_destructive_hint delete_order"]);
    assert_eq!(found([good("ordersPurge")]), ["Warning missing_destructive_hint ordersPurge"]);
    for spec in [
        good("delete_order").destructive(true),
        good("clear_filter").destructive(false),
        good("archive_of_orders").read_only(true),
        good("get_dropdown"),
        good("nuclear_clearance"),
    ] {
        assert_eq!(found([spec]), [""; 0]);
    }
}

#[test]
fn a_list_wants_a_limit() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let page = json!({"type": "object", "properties": {"items": list, "next": {"type": "string"}}});
    let expected = ["Warning unbounded_result export"];
    assert_eq!(found([good("export").output_schema(list.clone())]), expected);
    assert_eq!(found([good("export").output_schema(page)]), expected);
    for limit in ["limit", "maxResults", "page_size", "topK"] {
        let limited = taking("export", &[(limit, json!({"type": "integer"}))]).output_schema(list.clone());
        assert_eq!(found([limited]), [""; 0], "{limit}");
    }
    let bounded = json!({"type": "array", "items": {"type": "string"}, "maxItems": 5});
    let part =
        json!({"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "string"}}}});
    for output in [bounded, part] {
        assert_eq!(found([good("export").output_schema(output)]), [""; 0]);
    }
}

#[test]
fn what_is_declared_is_held_against_what_the_host_does() {
    assert_eq!(found([good("a").output_schema(None)]), ["Warning no_return_schema a"]);
    let slow = good("a").timeout(Duration::from_secs(29));
    assert_eq!(found([slow.clone()]), [""; 0]);
    let options = Options::new().call_timeout(Duration::from_secs(28));
    assert_eq!(found_with([slow], &options), ["Warning unreachable_timeout a"]);
    // A host may wait longer than the platform does; that helps nobody.
    let options = Options::new().call_timeout(Duration::from_secs(300));
    let slower = good("a").timeout(Duration::from_secs(31));
    assert_eq!(found_with([slower], &options), ["Warning unreachable_timeout a"]);

    assert_eq!(found([good("a").blocks_in_async()]), ["Info async_in_name_only a"]);
    let broad: Vec<_> = ('a'..='k').map(|letter| (letter.to_string(), text())).collect();
    let broad: Vec<_> = broad.iter().map(|(name, schema)| (name.as_str(), schema.clone())).collect();
    assert_eq!(found([taking("many", &broad)]), ["Info overly_broad_tool many"]);
    assert_eq!(found([taking("many", &broad[1..])]), [""; 0]);
}

#[test]
fn who_may_call_is_judged_by_what_is_known() {
    let guarded = || [good("a").auth(Auth::User).roles(["support", "auditor"])];
    assert_eq!(found(guarded()), [""; 0]);
    let options = Options::new().access_enforced(true).roles_in_use(["support"]).agent_tools(["a"]);
    assert_eq!(found_with(guarded(), &options), ["Warning permission_gap a"]);
    let options = Options::new().access_enforced(false).agent_tools(["b"]);
    assert_eq!(found_with(guarded(), &options), ["Info orphan_tool a", "Warning unenforced_access"]);
    assert_eq!(found_with([good("a")], &Options::new().access_enforced(false)), [""; 0]);
    // One thing to fix is one finding, and tools that allow it are not named.
    let specs = || ["a", "b", "c"].map(|name| good(name).auth(Auth::Admin));
    let options = Options::new().access_enforced(false).allow(Rule::UnenforcedAccess.in_tool("b"));
    let report = report_of(specs(), &options);
    let messages: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(messages.len() == 1 && messages[0].contains("`roles` of a, c: whoever"), "{messages:?}");
}

#[test]
fn what_a_vendor_refuses_is_said_with_its_name() {
    let root = |keyword: &str, schemas: Value| {
        let mut schema = json!({"type": "object", "properties": {}});
        schema[keyword] = schemas;
        let report = report_of([good("a").input_schema(schema)], &Options::new());
        report.findings.iter().map(|finding| (finding.severity, finding.message.clone())).collect::<Vec<_>>()
    };
    let (severity, message) = root("anyOf", json!([{"required": ["a"]}])).remove(0);
    assert_eq!(severity, Severity::Error);
    assert_eq!(message, "a has `anyOf` at the root of its input schema: OpenAI and Anthropic refuse that");
    assert_eq!(root("not", json!({}))[0].0, Severity::Warning);

    for (schema, expected) in [
        (json!({"type": "array"}), "array schema missing items"),
        (json!({"type": "array", "prefixItems": [{"type": "string"}]}), "array schema missing items"),
        (json!({"type": "object", "patternProperties": {"^a": {"type": "string"}}}), "`patternProperties`"),
        (json!({"oneOf": [{"const": "a"}, {"const": "b"}]}), "`oneOf`, `const`"),
        (json!({}), "Gemini refuses an argument without a type"),
        (json!({"$ref": "#/$defs/Folder"}), "contains itself"),
    ] {
        let spec = good("a").input_schema(json!({
            "type": "object",
            "properties": {"p": {
                "type": "object", "description": "A parameter of many forms.", "properties": {"q": schema},
                "additionalProperties": false,
            }},
            "$defs": {"Folder": {"type": "object", "additionalProperties": false, "properties": {
                "parents": {"type": "array", "items": {"$ref": "#/$defs/Folder"}},
            }}},
        }));
        let report = report_of([spec.description("Reads all of p.")], &Options::new());
        let messages: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert!(messages.len() == 1 && messages[0].contains(expected), "{schema}: {messages:?}");
    }
    let deep = (0..10).fold(
        text(),
        |inner, _| json!({"type": "object", "properties": {"x": inner}, "additionalProperties": false}),
    );
    assert_eq!(found([taking("a", &[("p", deep)])]), ["Warning rejected_schema a.p"]);
    let levels = (0..9).fold(
        text(),
        |inner, _| json!({"type": "object", "properties": {"x": inner}, "additionalProperties": false}),
    );
    assert_eq!(found([taking("a", &[("p", levels)])]), [""; 0]);
    let choices: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    assert_eq!(
        found([taking("a", &[("p", json!({"type": "string", "enum": choices}))])]),
        ["Warning rejected_schema a"]
    );
    assert_eq!(found([good("orders.list")]), ["Warning rejected_name orders.list"]);
    assert_eq!(found([taking("a", &[("filter[name]", text())])]), ["Warning rejected_name a.filter[name]"]);
}

#[test]
fn many_tools_are_examined_in_a_moment_and_do_not_fit_into_one_request() {
    let specs =
        (0..10_000).map(|n| returning(taking(&format!("tool_{n}"), &[("order_id", text())]), &["order_id"]));
    let report = report_of(specs, &Options::new());
    let rules: std::collections::BTreeSet<_> = report.findings.iter().map(|finding| finding.rule).collect();
    let expected = [Rule::CircularDependency, Rule::AmbiguousOutput, Rule::TooManyTools];
    assert_eq!(rules, expected.into());
    let circle = "circular dependency: tool_0 → tool_1 → tool_0, and 9998 more that need each other";
    assert_eq!(report.findings[0].message, circle);
}

#[test]
fn what_is_allowed_is_counted_and_left_out() {
    let spec = || good("delete_all").output_schema(None);
    let quiet = spec().allow(["no_return_schema", "missing_destructive_hint"]);
    let report = report_of([quiet], &Options::new());
    assert_eq!((report.findings.len(), report.allowed), (0, 2));
    let options = Options::new().allow(Rule::NoReturnSchema.in_tool("delete_all"));
    assert_eq!(found_with([spec()], &options), ["Warning missing_destructive_hint delete_all"]);
    let report = report_of([good("a").allow(["no_retrun_schema"])], &Options::new());
    assert!(report.findings[0].message.contains("did you mean `no_return_schema`?"), "{report:?}");
}

/// Some of everything, for the reports.
fn ill() -> Report {
    let marked =
        json!({"type": "string", "description": "The admin who archives it.", "x-user-providable": false});
    report_of(
        [
            taking("archive_workspace", &[("admin_id", marked)]),
            good("get_page").description("Gets."),
            good("cleanup_temp").output_schema(None).allow(["no_return_schema"]),
            good("crawl").blocks_in_async(),
        ],
        &Options::new(),
    )
}

#[test]
fn the_report_for_people() {
    insta::assert_snapshot!("text", ill().text(Layout::default()));
    insta::assert_snapshot!(
        "text_narrow_and_coloured",
        ill().text(Layout { colour: true, width: Some(60) }).replace('\u{1b}', "ESC")
    );
    insta::assert_snapshot!("text_healthy", report_of([good("a")], &Options::new()).text(Layout::default()));
}

#[test]
fn the_report_for_programs() {
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&ill()).unwrap());
}

/// Ring at a door.
#[tool(allow = ["no_return_schema", "unreachable_param"], register = false)]
async fn ring(#[tool(user_providable)] door_id: u32, #[tool(user_providable = false)] bell_id: Value) {
    let _ = (door_id, bell_id);
}

#[test]
fn attributes_of_a_tool_reach_the_doctor() {
    let mut registry = Registry::new();
    registry.extend(tools![ring]).unwrap();
    let report = examine(&registry, &Options::new());
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.rule.code()).collect();
    let expected =
        ["short_param_description", "short_param_description", "rejected_schema", "unexplained_params"];
    assert_eq!((codes.as_slice(), report.allowed), (&expected[..], 2));
}

#[test]
fn a_host_without_tools_is_an_error() {
    let report = report_of([], &Options::new());
    assert_eq!((report.findings[0].rule, report.exit_code()), (Rule::NoTools, 1));
    assert!(report.findings[0].fix.contains("use orders as _;"), "{report:?}");
}

#[test]
fn a_tool_that_executes_others_says_so() {
    let pair =
        || [("tool_name", text()), ("params", json!({"type": "object", "additionalProperties": true}))];
    assert_eq!(found([taking("run", &pair())]), ["Warning dynamic_executor run"]);
    assert_eq!(found([taking("run", &pair()).dynamic_executor(true)]), [""; 0]);
    assert_eq!(found([taking("run", &pair()[..1])]), [""; 0]);
    assert_eq!(found([taking("run", &pair()[1..]).dynamic_executor(true)]), ["Warning dynamic_executor run"]);
}

#[test]
fn a_description_explains_what_the_parameters_mean() {
    let limited =
        |text: &str| taking("lookup", &[("line_limit", json!({"type": "integer"}))]).description(text);
    assert_eq!(found([limited("Look an order up, with lines up to a limit.")]), [""; 0]);
    let unsaid = limited("Look one order up by its id.");
    assert_eq!(found([unsaid.clone()]), ["Info unexplained_params lookup"]);
    let report = report_of([unsaid.clone()], &Options::new());
    let summary = "Parameters:\n- line_limit (integer, required): What the caller means by it.";
    assert!(report.findings[0].fix.ends_with(&format!("which appends:\n{summary}")), "{report:?}");
    assert!(report.descriptions.is_empty());
    let sent = format!("Look one order up by its id.\n\n{summary}");
    let of_host = report_of([unsaid.clone()], &Options::new().describe_parameters(true));
    let of_tool = report_of([unsaid.clone().describe_parameters(true)], &Options::new());
    for report in [of_host, of_tool] {
        assert_eq!((report.findings.len(), report.descriptions[0].text.as_str()), (0, sent.as_str()));
    }
    let off = unsaid.describe_parameters(false);
    let lines = found_with([off], &Options::new().describe_parameters(true));
    assert_eq!(lines, ["Info unexplained_params lookup"]);
}

#[test]
fn a_description_has_room_at_the_platform() {
    let long = |length: usize| {
        good("a").description("Reads. ".repeat(length / 7 + 1)).allow(["long_tool_description"])
    };
    assert_eq!(found([long(8_192)]), ["Error oversized_description a"]);
    let full = taking("a", &[("text", text())])
        .description("Reads. ".repeat(1_171))
        .allow(["oversized_description"]);
    let fixes: Vec<_> =
        report_of([full], &Options::new()).findings.into_iter().map(|finding| finding.fix).collect();
    assert!(fixes[1].ends_with("how they are written"), "nothing can be appended: {fixes:?}");
    assert_eq!(found([long(8_100)]), [""; 0]);
    // A summary counts for what models of OpenAI take, and never exceeds what the platform does.
    let summed = taking("a", &[("text", json!({"type": "string", "description": "x".repeat(1_100)}))]);
    let names = |count: usize| (0..count).map(|n| (format!("p{n}"), text())).collect::<Vec<_>>();
    let many = names(300);
    let many: Vec<_> = many.iter().map(|(name, schema)| (name.as_str(), schema.clone())).collect();
    let described =
        taking("a", &many).allow(["overly_broad_tool"]).description("Reads an order in many ways.");
    assert_eq!(found([described.clone().describe_parameters(true)]), ["Warning long_tool_description a"]);
    assert_eq!(found([summed.describe_parameters(true)]), [""; 0], "a sentence is cut");
}

#[test]
fn a_null_is_a_result_that_reads_as_a_failure() {
    let returns = |schema: Value| found([good("find").output_schema(schema)]);
    let expected = ["Warning null_result find"];
    assert_eq!(returns(json!({"type": ["object", "null"]})), expected);
    assert_eq!(returns(json!({"anyOf": [{"type": "object"}, {"type": "null"}]})), expected);
    assert_eq!(
        returns(json!({"type": "object", "properties": {"order": {"type": ["object", "null"]}}})),
        [""; 0]
    );
}

#[test]
fn a_list_of_types_is_said_once() {
    let nullable = || json!({"type": ["string", "null"]});
    let one = taking("a", &[("p", nullable()), ("q", text())]);
    let report = report_of([one], &Options::new());
    let messages: Vec<_> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(
        messages.len() == 1 && messages[0].starts_with("a.p has a list of types such as"),
        "{messages:?}"
    );
    let nested = json!({"type": "array", "items": nullable()});
    let several = || ["a", "b", "c"].map(|name| taking(name, &[("p", nested.clone())]));
    let options = Options::new().allow(Rule::NullableType.in_tool("b"));
    let report = report_of(several(), &options);
    assert!(report.findings[0].message.starts_with("a.p, c.p (2 arguments) have a list"), "{report:?}");
    assert_eq!(found_with(several(), &Options::new().allow(Rule::NullableType.everywhere())), [""; 0]);
}

#[test]
fn an_object_inside_an_argument_says_what_it_takes() {
    let object = |more: Value| {
        let mut object = json!({"type": "object", "properties": {"x": text()}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        found([taking("a", &[("p", json!({"type": "array", "items": object}))])])
    };
    assert_eq!(object(json!({})), ["Warning dropped_fields a.p"]);
    for said in [json!({"additionalProperties": false}), json!({"additionalProperties": true})] {
        assert_eq!(object(said), [""; 0]);
    }
}

/// A place, as an argument.
#[derive(serde::Deserialize, platools::schemars::JsonSchema)]
#[schemars(crate = "platools::schemars")]
struct Place {
    city: String,
}

/// Plan a route between two places, on foot or not.
#[tool(describe_parameters, allow = ["no_return_schema"], register = false)]
fn plan_route(
    /// The place where it begins.
    from: Place,
    /// The places to pass, in order. At most ten.
    via: Option<Vec<Place>>,
    /// Whether to walk.
    #[tool(default)]
    on_foot: bool,
) {
    let _ = (from.city, via.map(|via| via.len()), on_foot);
}

#[test]
fn a_typed_tool_drops_nothing_and_its_description_is_shown() {
    let mut registry = Registry::new();
    registry.extend(tools![plan_route]).unwrap();
    let report = examine(&registry, &Options::new());
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.rule.code()).collect();
    assert_eq!(codes, ["nullable_type"]);
    insta::assert_snapshot!("text_with_descriptions", report.text(Layout { colour: false, width: Some(80) }));
}

#[test]
fn a_time_below_a_second_is_told_in_milliseconds() {
    let report = report_of(
        [good("a").timeout(Duration::from_secs(1))],
        &Options::new().call_timeout(Duration::from_millis(250)),
    );
    assert_eq!(
        report.findings[0].message,
        "a has a timeout of 1 s, and the host ends every call after 250 ms"
    );
}
