// A call as something to paste: for a shell, or into a test.

import { callBody, callsUrl } from "./api.js";
import { parse, write } from "./json.js";

/** Where a line that is pasted takes a call's tokens from, so that they stay out of shells' histories and of files. */
const VARIABLES = { user_token: "USER_TOKEN", entity_token: "ENTITY_TOKEN" };

/** The request that makes a call again, without its tokens' defaults. */
function requestOf(call) {
  const {
    arguments: args,
    context,
    user,
    agent,
    thread,
    user_token: userToken,
    entity_token: entityToken,
  } = call.request;
  return {
    tool: call.tool,
    argumentsText: args.text,
    context: context ?? undefined,
    user: user ?? undefined,
    agent: agent ?? undefined,
    thread: thread || undefined,
    user_token: userToken ?? undefined,
    entity_token: entityToken ?? undefined,
    options: call.tamper ? { tamper: call.tamper } : undefined,
  };
}

/** A command line for `curl`, where all tokens come from the environment. */
export function asCurl(call) {
  const { user_token: userToken, entity_token: entityToken, ...request } = requestOf(call);
  const tokens = Object.entries({ user_token: userToken, entity_token: entityToken })
    .filter(([, token]) => token !== undefined)
    .map(([name]) => `,"${name}":"'"$${VARIABLES[name]}"'"`);
  // The variables stand between the quotes of the body, at its end.
  const body = quote(callBody(request)).replace(/\}'$/, () => `${tokens.join("")}}'`);
  return [
    `curl -sS ${quote(callsUrl(call))} \\`,
    `  -H "Authorization: Bearer $PLATOOLS_DEV_TOKEN" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${body}`,
  ].join("\n");
}

/** A command line for `platools call`, where URL and API token come from the environment; `null` for what it cannot say. */
export function asCli(call) {
  const request = requestOf(call);
  const context = Object.entries(request.context ?? {});
  const isSaid = !call.tamper && context.every(([key]) => key !== "" && !key.includes("="));
  if (!isSaid || call.tool.startsWith("-")) return null;
  const option = (name, value) => (value === undefined ? [] : [`--${name}=${word(value)}`]);
  const lines = [
    `platools call ${word(call.tool)}`,
    [...option("entity", call.entity), ...option("env", call.environment)].join(" "),
    ...option("params", request.argumentsText),
    ...option("user", request.user),
    ...option("agent", request.agent),
    ...option("thread", request.thread),
    ...option("user-token", request.user_token && `env:${VARIABLES.user_token}`),
    ...option("entity-token", request.entity_token && `env:${VARIABLES.entity_token}`),
    ...context.flatMap(([key, value]) => option("context", `${key}=${contextValue(value)}`)),
  ];
  return lines.join(" \\\n  ");
}

/** A value as `--context` reads it: as JSON, or as the text that it is if that is no JSON. */
function contextValue(value) {
  if (typeof value !== "string") return write(value, 0);
  try {
    JSON.parse(value);
    return JSON.stringify(value);
  } catch {
    return value;
  }
}

/** A text as one word of a shell, in quotes where it needs them. */
const word = (text) => (/^[\w@%+:,./-]+$/.test(text) ? text : quote(text));

/** A test in Rust, with `platools-dev`. */
export function asTest(call) {
  const { request } = call;
  const name = call.tool.replaceAll(/\W/g, "_");
  const lines = [
    "#[tokio::test]",
    `async fn ${name}_answers_as_it_did() -> Result<(), Box<dyn std::error::Error>> {`,
    "    let platform = platools_dev::DevPlatform::start().await?;",
    "    // Start your host with `platform.url()` and `platform.secret()` here.",
    `    platform.wait_for_tool(${rust(call.tool)}).await?;`,
    "    let report = platform",
    `        .calling(${rust(call.tool)})`,
    `        .arguments_text(${rust(request.arguments.text)})`,
    ...(request.user ? [`        .user(${rust(request.user)})`] : []),
    ...(request.agent ? [`        .agent(${rust(request.agent)})`] : []),
    ...(request.thread ? [`        .thread(${rust(request.thread)})`] : []),
    ...Object.entries(VARIABLES)
      .filter(([name]) => request[name])
      .map(([name, variable]) => `        .${name}(std::env::var("${variable}")?)`),
    ...(request.context ? [`        .context(serde_json::from_str(${rust(write(request.context, 0))})?)`] : []),
    ...(call.tamper ? [`        .tamper(platools_dev::Tamper::${pascal(call.tamper)})`] : []),
    "        .send()",
    "        .await?;",
    ...expectation(call),
    "    Ok(())",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function expectation(call) {
  switch (call.outcome) {
    case "result":
      return [
        `    let expected: serde_json::Value = serde_json::from_str(${rust(write(call.result, 0))})?;`,
        "    assert_eq!(report.into_result()?, expected);",
      ];
    case "error":
      return [`    assert_eq!(report.error(), Some(${rust(call.message)}));`];
    default:
      return ["    assert_eq!(report.outcome, platools_dev::Outcome::TimedOut);"];
  }
}

/**
 * A case for the file that `test` reads; `null` for what no case can say. JSON is YAML, and stays on its lines however
 * the file is indented.
 */
export function asCase(call) {
  const { request } = call;
  if (call.tamper || call.repeated || call.outcome === "timed_out") return null;
  const caller = {
    user_id: request.user ?? undefined,
    agent_id: request.agent ?? undefined,
    thread_id: request.thread || undefined,
    context: request.context ?? undefined,
  };
  const lines = [
    `  - tool: ${yaml(call.tool)}`,
    `    params: ${yaml(parse(request.arguments.text))}`,
    `    context: ${yaml(caller)}`,
    `    ${expected(call)}`,
  ];
  const options = Object.entries(VARIABLES)
    .filter(([name]) => request[name])
    .map(([name, variable]) => `--${name.replace("_", "-")} env:${variable}`);
  if (options.length > 0) lines.unshift(`  # It was called with tokens: test ${options.join(" ")}`);
  return `tests:\n${lines.join("\n")}\n`;
}

function expected({ outcome, result, message }) {
  // The number of the call is another one every time.
  const said = message?.replace(/^internal error \(call .*\)$/, "internal error");
  if (outcome === "error") return `expect_error: ${said ? yaml(said) : true}`;
  const isWhole = result !== null && !(result.truncated === true && typeof result.original_bytes === "number");
  return isWhole ? `expect: ${yaml(result)}` : "expect_success: true";
}

/** JSON on one line, without the characters that YAML takes for something else. */
const yaml = (value) =>
  write(value, 0).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const pascal = (name) => name.replaceAll(/(?:^|_)(\w)/g, (_, letter) => letter.toUpperCase());

/** A text as Rust writes it: raw where that reads better. */
function rust(text) {
  // What cannot stand in a raw string, or would not be seen in it.
  const isPlain = [...text].every((character) => character === "\n" || character === "\t" || !/\p{C}/u.test(character));
  if (!isPlain) return `"${[...text].map(escaped).join("")}"`;
  if (!/["\\\n]/.test(text)) return `"${text}"`;
  let hashes = "#";
  while (text.includes(`"${hashes}`)) hashes += "#";
  return `r${hashes}"${text}"${hashes}`;
}

function escaped(character) {
  if (character === '"' || character === "\\") return `\\${character}`;
  return /\p{C}/u.test(character) ? `\\u{${character.codePointAt(0).toString(16)}}` : character;
}
