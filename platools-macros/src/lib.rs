//! The `#[tool]` and `#[toolset]` attributes of `platools`.
//!
//! Use them through `platools`, which re-exports them. The modules follow the expansion: `attributes` and
//! `docs` parse attributes and doc comments, `signature` and `parameter` parse the function, `expand`
//! generates the registration. All mistakes are collected in `error` and reported together; the item itself is
//! always emitted.

mod attributes;
mod docs;
mod error;
mod expand;
mod item;
mod krate;
mod names;
mod parameter;
mod signature;
mod types;

use proc_macro::TokenStream;

/// Turns a function into a tool that agents can call.
///
/// ```
/// use platools::{State, ToolError, tool, tools};
///
/// struct Orders;
///
/// /// Look up one order by id.
/// #[tool(auth = "user", roles = ["support", "admin"], category = "orders", timeout = "10s", read_only)]
/// async fn lookup_order(
///     orders: State<Orders>,
///     /// The order to look up.
///     order_id: String,
///     /// How many lines to return.
///     #[tool(range(min = 1, max = 100), default = 10)]
///     limit: u32,
///     /// Only lines with this text.
///     text: Option<&str>,
/// ) -> Result<Vec<String>, ToolError> {
///     // …
/// #   let _ = (orders, order_id, limit, text);
/// #   Ok(Vec::new())
/// }
///
/// let tool = &tools![lookup_order][0];
/// assert_eq!(tool.spec().description, "Look up one order by id.");
/// assert_eq!(tool.spec().input_schema["required"], serde_json::json!(["order_id"]));
/// assert_eq!(tool.spec().input_schema["properties"]["limit"]["maximum"], 100);
/// ```
///
/// The function itself is unchanged and can still be called. `async` functions run on the async runtime, others on
/// a thread where blocking is allowed. The tool registers itself when its crate is linked.
///
/// # Attributes of the function
///
/// | attribute | meaning |
/// | --- | --- |
/// | `name = "…"` | tool name that agents use, instead of the function's name: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 64 characters |
/// | `description = …` | description, instead of the doc comment: text, or an expression such as `include_str!("…")` |
/// | `title = "…"` | display name |
/// | `category = "…"` | category under which the platform indexes the tool |
/// | `auth = "…"` | required caller: `none`, `user` or `admin` |
/// | `roles = ["…", …]` | roles; the caller needs at least one of them |
/// | `timeout = "10s"` | time limit of a call. The host's limit applies too: by default 28 s from the call's arrival, because the platform waits 30 s |
/// | `rate_limit = "60/min"` | calls per time: `s`, `min`, `h`, `d`, or a duration as in `"20/10s"`; `"60/min, burst 10, per user"` allows bursts of 10 and counts each user separately |
/// | `concurrency = 4` | maximum number of concurrent calls |
/// | `read_only`, `destructive`, `idempotent`, `open_world` | hints; each can be set to `false`, as in `read_only = false` |
/// | `annotations(…)` | further annotations, see below |
/// | `errors = "user"` | sends the text of every error to the model, not only of user-facing errors |
/// | `rename_all = "camelCase"` | case of the argument names: `snake_case`, `camelCase`, `PascalCase`, `kebab-case` or `SCREAMING_SNAKE_CASE` |
/// | `describe_parameters` | ends the description that the platform is sent with a summary of the parameters, since a model may see only their names there; `describe_parameters = false` where the host does so for all tools. Switching it makes another tool of it at the platform |
/// | `dynamic_executor` | makes the tool receive the calls of tools that do not exist, with their name and arguments in two of its parameters, such as `tool_name: String` and `params: Map<String, Value>` |
/// | `additional_properties` | ignores unknown arguments instead of rejecting the call. Fields inside arguments are the business of their types, see below |
/// | `allow = ["…", …]` | rules of `platools_toolkit::doctor` to skip for this tool, such as `no_return_schema` |
/// | `register = false` | disables automatic registration; list the tool in `tools![…]` |
/// | `crate = some::path` | path to platools, if it is re-exported by another crate |
///
/// The description is the doc comment without the sections `# Arguments`, `# Errors`, `# Panics`, `# Safety` and
/// `# Examples`, which address readers of the code.
///
/// Annotations are JSON: `annotations(team = "orders", "x-cost" = 3, beta, limits(soft = 1), tags = ["a", null])`.
/// A key is an identifier or a string; a key without a value means `true`; `key(…)` is an object, and so is `(…)`
/// inside a list.
///
/// # Attributes of parameters
///
/// Parameters of the types `CallContext`, `Identity`, `State<T>`, `CancellationToken` and `Progress`, also borrowed
/// or in an `Option`, are injected from the call. All others are arguments that the caller sends. An argument is
/// optional if its type is an `Option` or it has a `default`. Arguments can be borrowed: `&str`, `&[T]`, `&T`, and
/// an `Option` of these.
///
/// | attribute | meaning |
/// | --- | --- |
/// | `description = …` | description, instead of the parameter's doc comment |
/// | `rename = "…"` | name that callers send |
/// | `default`, `default = …` | value if the caller sends none: `Default::default()`, or an expression of the owned type, see below |
/// | `range(min = …, max = …, exclusive_min = …, exclusive_max = …)` | bounds of a number |
/// | `length(min = …, max = …)`, `length(equal = …)` | bounds of the number of characters, items or members |
/// | `pattern = "…"` | regular expression that the text must match, not anchored, see below |
/// | `user_providable`, `user_providable = false` | whether a person can know the value: `x-user-providable` in the schema, used by `platools_toolkit::doctor` |
/// | `flatten` | makes the fields of this struct arguments of the tool |
/// | `inject` | injects the value from the call through `FromCall`, whatever its type is called |
/// | `argument` | makes this an argument although its type has the name of an injected one |
///
/// Literals in a `default` are converted to the parameter's type: `"text"` to any string type, `["a", "b"]` and
/// `[1, 2]` to any list or set (`Vec<String>`, `&[u64]`, `BTreeSet<String>`), also as `&[…]`, and for an `Option`
/// the literal is wrapped in `Some`. Other expressions must have the owned type: a constant of type `&str` is
/// `default = NAME.to_owned()` for a `String` or a `&str`.
///
/// Constraints appear in the schema and are enforced. JSON Schema uses JavaScript's regular expressions, so a
/// pattern may use only syntax that JavaScript and Rust share: no flags such as `(?i)`, no `\A`, `\z`,
/// `[[:alpha:]]` or `\p{L}`, and `(?<name>…)` instead of `(?P<name>…)`. For anything else, the compile error names
/// the portable spelling. `\d`, `\w`, `\s` and `\b` match Unicode in Rust and mostly ASCII in JavaScript: if that
/// matters, write `[0-9]` and the like.
///
/// Unknown fields are rejected inside arguments, too: the schema of a struct says `additionalProperties: false`, and a
/// call with a field that no struct has is answered with its name and the nearest known one. A type takes further fields
/// with a map, `#[serde(flatten)] rest: BTreeMap<String, Value>`, or ignores them with
/// `#[schemars(extend("additionalProperties" = true))]`. A `#[serde(alias = "…")]` is a known name.
///
/// Parameters can also be described in the function's doc comment, but not in both places:
///
/// ```
/// use platools::{tool, tools};
///
/// /// Send a message.
/// ///
/// /// # Arguments
/// /// * `to` - Who gets it.
/// /// * `text` - What it says,
/// ///   in a few words.
/// #[tool(register = false)]
/// fn send(to: &str, #[tool(length(max = 140))] text: &str) -> String {
///     format!("{to}: {text}")
/// }
///
/// assert_eq!(send("you", "hello"), "you: hello"); // still a function
/// let tool = &tools![send][0];
/// let properties = &tool.spec().input_schema["properties"];
/// assert_eq!(properties["text"]["description"], "What it says, in a few words.");
/// ```
///
/// # Generated code
///
/// The macro adds a hidden type with the function's name, which `tools![…]` uses to find the tool. A module of that
/// name in the same scope conflicts with it (`mod search; use search::search;`): import the function under another
/// name. In doc comments, link to the function with parentheses: ``[`lookup_order()`]``.
///
/// All mistakes are reported together, each at its place in the source:
///
/// ```compile_fail
/// # use platools::tool;
/// /// Look up one order by id.
/// #[tool(timout = "10s", auth = "usr")] // did you mean `timeout`? … did you mean `user`?
/// async fn lookup_order(order_id: impl Into<String>) -> String {
///     order_id.into()
/// }
/// ```
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::tool(arguments.into(), &item.into()).into()
}

/// Turns the `#[tool]` methods of an impl block into tools that share one value.
///
/// ```
/// use std::sync::Arc;
///
/// use platools::tool::Toolset;
/// use platools::{tool, toolset};
///
/// struct Orders {
///     region: &'static str,
/// }
///
/// #[toolset]
/// impl Orders {
///     /// Where orders of this set are shipped.
///     #[tool(read_only)]
///     async fn region(&self) -> &'static str {
///         self.region
///     }
///
///     /// Cancel an order that has not shipped.
///     #[tool(auth = "user", destructive)]
///     fn cancel(&self, order_id: &str) -> Result<(), String> {
///         self.check(order_id)
///     }
///
///     // Not a tool, since it has no `#[tool]`.
///     fn check(&self, order_id: &str) -> Result<(), String> {
///         # let _ = order_id;
///         Ok(())
///     }
/// }
///
/// let tools = Arc::new(Orders { region: "eu" }).tools();
/// assert_eq!(tools.len(), 2);
/// ```
///
/// A toolset does not register itself. Register a value on the host's builder with
/// `.toolset(Orders { region: "eu" })`, or several values with `.toolset_with_prefix("eu_", …)`. Methods take
/// `&self`, `self: Arc<Self>`, or no `self`, and `#[tool]` on them accepts the attributes of [`macro@tool`]; import
/// `tool`, or write `#[platools::tool]`. The impl block may be generic over types, and a type can have one such
/// block. The only attribute of `#[toolset]` itself is `crate = some::path`.
#[proc_macro_attribute]
pub fn toolset(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::toolset(arguments.into(), &item.into()).into()
}
