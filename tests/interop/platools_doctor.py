"""The doctor of the Python package `platools`, for tools that are read from stdin as a list in JSON.

`analyze` reads the tools and prints its report; `readme` prints the tool of the package's own README.
"""

import json
import sys

import platools_tools
from platools.cli.doctor import _report_to_json
from platools.doctor import analyze_tools
from platools.types import ToolDef


def tool(said: dict) -> ToolDef:
    return ToolDef(
        func=lambda: None,
        auth="none",
        rate_limit=None,
        timeout=None,
        is_async=False,
        **{**said, "roles": tuple(said["roles"])},
    )


if sys.argv[1] == "analyze":
    asked = json.load(sys.stdin)
    report = analyze_tools(
        [tool(said) for said in asked["tools"]],
        agent_tool_names=set(asked["agent_tools"]),
        roles_in_use=set(asked["roles_in_use"]),
    )
    print(_report_to_json(report))
else:
    refund = platools_tools.platools.registry.get("process_refund")
    keys = ("name", "description", "input_schema", "output_schema")
    print(json.dumps({key: getattr(refund, key) for key in keys}))
