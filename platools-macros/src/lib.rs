//! The `#[tool]` and `#[toolset]` attributes of `platools`.
//!
//! Use them through `platools`, which re-exports them. How an attribute becomes code: `attributes` and
//! `docs` read words and comments, `signature` and `parameter` say what the function takes, `expand`
//! writes the registration. Every mistake goes to one store, `error`, and is reported with the others,
//! while the item itself is always emitted.

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

/// Makes a function a tool that agents can call.
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
/// The function stays what it is, with its own signature and visibility. `async` functions run on the
/// runtime, others on a thread that may block. The tool registers itself when its crate is linked.
///
/// # The function
///
/// | word | meaning |
/// | --- | --- |
/// | `name = "…"` | the name that agents call, instead of the function's: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 64 characters |
/// | `description = …` | instead of the doc comment; text, or an expression such as `include_str!("…")` |
/// | `title = "…"` | a name for people |
/// | `category = "…"` | a group of tools, which the platform indexes |
/// | `auth = "…"` | who may call: `none`, `user` or `admin` |
/// | `roles = ["…", …]` | roles of which a caller needs one |
/// | `timeout = "10s"` | how long a call may run, within the host's own limit: 28 s from its arrival unless the host says otherwise, since the platform waits 30 s; a longer one is never reached |
/// | `rate_limit = "60/min"` | calls per time: `s`, `min`, `h`, `d`, or a duration as in `"20/10s"`; `"60/min, burst 10, per user"` allows 10 at once, and counts each user apart |
/// | `concurrency = 4` | how many calls run at the same time |
/// | `read_only`, `destructive`, `idempotent`, `open_world` | hints, each also `= false` |
/// | `annotations(…)` | anything else, see below |
/// | `errors = "user"` | the text of every error goes to the model, not only of user-facing ones |
/// | `rename_all = "camelCase"` | how the names of arguments are spelt: `snake_case`, `camelCase`, `PascalCase`, `kebab-case` or `SCREAMING_SNAKE_CASE` |
/// | `additional_properties` | arguments that no parameter takes are dropped instead of refused |
/// | `allow = ["…", …]` | rules of `platools_toolkit::doctor` that do not apply to the tool, such as `no_return_schema` |
/// | `register = false` | the tool does not register itself; name it in `tools![…]` |
/// | `crate = some::path` | where platools is, when it comes through another crate |
///
/// The description is the doc comment without the sections for readers of the code: `# Arguments`,
/// `# Errors`, `# Panics`, `# Safety` and `# Examples`.
///
/// Annotations are JSON: `annotations(team = "orders", "x-cost" = 3, beta, limits(soft = 1), tags = ["a", null])`.
/// A key is a word or text in quotes; a key alone is `true`; `key(…)` is an object, in a list `(…)` is.
///
/// # Parameters
///
/// `CallContext`, `Identity`, `State<T>`, `CancellationToken` and `Progress`, also borrowed or in an `Option`, come from the call;
/// anything else is an argument, which the caller sends. Whether an argument may be left out is a matter of
/// its type: an `Option` may. A borrowed argument (`&str`, `&[T]`, `&T`, and options of them) is owned by the
/// call.
///
/// | word | meaning |
/// | --- | --- |
/// | `description = …` | instead of the parameter's doc comment |
/// | `rename = "…"` | the name that callers send |
/// | `default`, `default = …` | the value when the caller sends none: the type's own, or an expression of the type that owns it, see below |
/// | `range(min = …, max = …, exclusive_min = …, exclusive_max = …)` | bounds of a number |
/// | `length(min = …, max = …)`, `length(equal = …)` | bounds of a text's characters, a list's items, a map's members |
/// | `pattern = "…"` | a regular expression that a text must match somewhere, see below |
/// | `user_providable`, `user_providable = false` | whether a person can know the value; `x-user-providable` in the schema, for `platools_toolkit::doctor` |
/// | `flatten` | the fields of this struct are arguments themselves |
/// | `inject` | comes from the call, through `FromCall`, whatever the type is called |
/// | `argument` | is an argument, though its type is called like one of the three above |
///
/// A default is written as simply as it reads: `"text"` becomes whatever text the type is, `["a", "b"]` and
/// `[1, 2]` any list or set of such things (`Vec<String>`, `&[u64]`, `BTreeSet<String>`), also as `&[…]`, and
/// each of these `Some` of itself for an `Option`. Other expressions are taken as they are, so a constant of
/// type `&str` is `default = NAME.to_owned()` for a `String` or a `&str`.
///
/// Constraints are in the schema and enforced. The regular expressions of a schema are JavaScript's, so a
/// pattern is made of what those and Rust's share: no flags as in `(?i)`, no `\A`, `\z`, `[[:alpha:]]` or
/// `\p{L}`, and `(?<name>…)` instead of `(?P<name>…)`; the compiler names the common spelling. `\d`, `\w`,
/// `\s` and `\b` know all of Unicode here and hardly more than ASCII there: where that matters, write
/// `[0-9]` and the like.
///
/// Parameters can also be described in the function's comment,
/// but not in both places:
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
/// # What is generated
///
/// Beside the function, a hidden type of its name, by which `tools![…]` finds it. So a module of the same
/// name cannot stand next to the function or its import (`mod search; use search::search;`): import it
/// `as` something else. In a doc comment, link to the function as ``[`lookup_order()`]``, with parentheses.
///
/// Mistakes are reported all at once, each where it is:
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

/// Makes the `#[tool]` methods of an impl block the tools of one value.
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
///     // Not marked, not a tool.
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
/// A toolset is registered as a value, `.toolset(Orders { region: "eu" })` on the host's builder, or several
/// times with `.toolset_with_prefix("eu_", …)`; it does not register itself. Methods take `&self`,
/// `self: Arc<Self>`, or no `self` at all; each is marked as [`macro@tool`] describes. The mark
/// is an attribute like any other: import `tool`, or write `#[platools::tool]`. The impl block may be generic
/// over types, and a type has one such block. The only word of `#[toolset]` itself is `crate = some::path`.
#[proc_macro_attribute]
pub fn toolset(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::toolset(arguments.into(), &item.into()).into()
}

/// Compiles the example of the README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
