//! Descriptions and schemas of the tools, as a model sees them.

use plato_sdk::testing::FakePlato;
use plato_sdk::tools::{DesktopTools, ToolShape};

use super::{desktops, host};

/// The descriptions and schemas of a tool set.
fn seen(tools: DesktopTools) -> String {
    let host = host(tools);
    let seen = host.tools().list().into_iter().map(|tool| {
        let spec = tool.spec();
        let schema = serde_json::to_string_pretty(&*spec.input_schema).unwrap();
        format!("{}: {}\n{schema}\n\n", spec.name, spec.description)
    });
    seen.collect()
}

#[test]
fn the_tools_with_computer_and_those_for_an_operator() {
    let plato = FakePlato::start().client();
    insta::assert_snapshot!(seen(desktops(&plato).lifecycle(true)));
}

#[test]
fn the_tools_with_one_for_each_thing() {
    let plato = FakePlato::start().client();
    let longest = std::time::Duration::from_secs(12);
    insta::assert_snapshot!(seen(desktops(&plato).shape(ToolShape::Split).longest_call(longest)));
}
