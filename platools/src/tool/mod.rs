//! Tools: declaration ([`ToolSpec`]), handler, input and output.
//!
//! This module knows functions, schemas and values. It must not know sockets, signatures, runtimes or callers: the
//! scope that a door attaches to a call is opaque here, and [`FromCall`] extracts from it.

pub(crate) mod arguments;
mod call;
mod content;
pub(crate) mod declaration;
pub(crate) mod describe;
pub(crate) mod error;
mod output;
mod ping;
mod registry;
#[doc(hidden)]
pub mod result;
pub(crate) mod schema;
mod spec;
mod wording;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use self::arguments::{Arguments, ArgumentsError, allowed_values, decode_json_texts, nearest_name};
pub(crate) use self::call::RequirementKind;
pub use self::call::{FromCall, Requirement, ToolCall};
pub use self::content::{Content, EmbeddedResource, Media, ResourceBody};
pub use self::declaration::DeclarationError;
pub use self::error::{BoxError, ToolError, ToolErrorKind, UserFacingError};
pub use self::output::{IntoOutput, ToolOutput};
pub use self::ping::ping;
pub use self::registry::{Registry, RegistryError};
pub use self::spec::{Auth, InvalidRateLimit, Location, NameError, RateLimit, ToolSpec, check_name};
pub use self::wording::{format_duration, shortened};

/// The result of a handler.
pub type ToolResult = Result<ToolOutput, ToolError>;

pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = ToolResult> + Send>>;

/// The handler of a tool.
#[derive(Clone)]
pub(crate) enum Handler {
    /// Polled on the async runtime.
    Async(Arc<dyn Fn(ToolCall) -> HandlerFuture + Send + Sync>),
    /// Runs on the blocking pool.
    Blocking(Arc<dyn Fn(ToolCall) -> ToolResult + Send + Sync>),
    /// Run by another process.
    Remote,
    /// Run nowhere for now, for this reason.
    Withheld(Arc<str>),
}

/// Where the calls of a tool run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Execution {
    /// In this process.
    Local,
    /// In another process, which a [`Coordinator`](crate::host::Coordinator) chooses.
    Remote,
    /// Nowhere for now: the tool is declared, and its calls are answered with an error that says why.
    Withheld,
}

/// A function that agents can call: its declaration and its handler. Cheap to clone.
///
/// `#[tool]` creates one from a typed function. Build a tool by hand if its schema is known only at run time:
///
/// ```
/// use platools::{Tool, ToolCall, ToolError, ToolOutput, ToolSpec};
/// use serde_json::{Value, json};
///
/// let spec = ToolSpec::new("shout").description("Repeat a text in capitals.").input_schema(json!({
///     "type": "object",
///     "properties": {"text": {"type": "string"}},
///     "required": ["text"],
///     "additionalProperties": false,
/// }));
/// let shout = Tool::new(spec, |call: ToolCall| async move {
///     let arguments: Value = call.arguments.parse()?;
///     let text = arguments["text"].as_str().ok_or_else(|| ToolError::invalid_arguments("`text` must be a string"))?;
///     Ok(ToolOutput::text(text.to_uppercase()))
/// });
/// assert_eq!(shout.spec().name, "shout");
/// ```
#[derive(Clone)]
pub struct Tool {
    spec: Arc<ToolSpec>,
    handler: Handler,
    down: Option<DownReason>,
}

/// Health probe: returns the reason while the tool is down.
type DownReason = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Tool {
    /// Creates a tool with an async handler.
    pub fn new<F, R>(spec: ToolSpec, handler: F) -> Self
    where
        F: Fn(ToolCall) -> R + Send + Sync + 'static,
        R: Future<Output = ToolResult> + 'static,
        // rustc quotes the line of this bound with its comment in its error.
        R: Send, // all that is held across an `.await` must be `Send`; a boxed error has to be `Box<dyn Error + Send + Sync>`
    {
        let handler = Handler::Async(Arc::new(move |call| Box::pin(handler(call))));
        Self { spec: Arc::new(spec), handler, down: None }
    }

    /// Creates a tool with a blocking handler, which runs on the blocking pool.
    pub fn blocking<F>(spec: ToolSpec, handler: F) -> Self
    where
        F: Fn(ToolCall) -> ToolResult + Send + Sync + 'static,
    {
        Self { spec: Arc::new(spec), handler: Handler::Blocking(Arc::new(handler)), down: None }
    }

    /// A tool that is declared here and runs in another process, which a
    /// [`Coordinator`](crate::host::Coordinator) chooses for each call.
    pub fn remote(spec: ToolSpec) -> Self {
        Self { spec: Arc::new(spec), handler: Handler::Remote, down: None }
    }

    /// A tool that is declared although it cannot run yet, so that the platform does not remove it. Its calls are
    /// answered with an error that gives `reason`; [`replace`](crate::run::ToolTable::replace) it once it can run.
    ///
    /// ```
    /// # use platools::{Tool, ToolSpec};
    /// let search = Tool::withheld(ToolSpec::new("search"), "the index is being built");
    /// ```
    pub fn withheld(spec: ToolSpec, reason: impl Into<Arc<str>>) -> Self {
        Self { spec: Arc::new(spec), handler: Handler::Withheld(reason.into()), down: None }
    }

    /// Where the calls of this tool run.
    pub fn execution(&self) -> Execution {
        match self.handler {
            Handler::Async(_) | Handler::Blocking(_) => Execution::Local,
            Handler::Remote => Execution::Remote,
            Handler::Withheld(_) => Execution::Withheld,
        }
    }

    /// Returns the declaration.
    pub fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// Returns the tool's name, `spec().name`.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns whether both are handles of one tool: clones of each other.
    ///
    /// ```
    /// # use platools::{Tool, ToolOutput, ToolSpec};
    /// let tool = Tool::new(ToolSpec::new("lookup"), |_| async { Ok(ToolOutput::null()) });
    /// assert!(tool.is_same(&tool.clone()));
    /// assert!(!tool.is_same(&tool.with_spec(|spec| spec.read_only(true))));
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        let probes = [&self.down, &other.down]
            .map(|probe| probe.as_ref().map(|probe| Arc::as_ptr(probe).cast::<()>()));
        Arc::ptr_eq(&self.spec, &other.spec) && probes[0] == probes[1]
    }

    /// Returns whether the handler runs on the blocking pool.
    pub fn is_blocking(&self) -> bool {
        matches!(self.handler, Handler::Blocking(_))
    }

    /// Returns a copy of the tool with a changed declaration, for example with another name.
    ///
    /// ```
    /// # use platools::{Tool, ToolOutput, ToolSpec};
    /// let tool = Tool::new(ToolSpec::new("lookup"), |_| async { Ok(ToolOutput::null()) });
    /// let renamed = tool.with_spec(|spec| spec.rename("eu_lookup"));
    /// assert_eq!(renamed.name(), "eu_lookup");
    /// ```
    pub fn with_spec(&self, change: impl FnOnce(ToolSpec) -> ToolSpec) -> Self {
        let spec = Arc::new(change(ToolSpec::clone(&self.spec)));
        Self { spec, handler: self.handler.clone(), down: self.down.clone() }
    }

    /// Attaches a health probe: while `reason` returns `Some`, heartbeats report the tool as down with that reason.
    ///
    /// Calls still reach the handler. `reason` runs at every heartbeat and must not block; if it panics, the tool is
    /// reported as down.
    ///
    /// ```
    /// # use platools::{Tool, ToolOutput, ToolSpec};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// let plugged_in = Arc::new(AtomicBool::new(true));
    /// let print = Tool::new(ToolSpec::new("print"), |_| async { Ok(ToolOutput::null()) });
    /// let print = print.down_while(move || {
    ///     (!plugged_in.load(Ordering::Relaxed)).then(|| "the printer is not plugged in".to_owned())
    /// });
    /// ```
    #[must_use]
    pub fn down_while(mut self, reason: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.down = Some(Arc::new(reason));
        self
    }

    /// Returns why the tool is down, according to its health probe.
    pub(crate) fn down_reason(&self) -> Option<String> {
        self.down.as_ref()?()
    }

    pub(crate) fn handler(&self) -> &Handler {
        &self.handler
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.name())
            .field("blocking", &self.is_blocking())
            .finish_non_exhaustive()
    }
}

/// Tools that share one value; `#[toolset]` implements this trait for an `impl` block.
pub trait Toolset: Send + Sync + 'static {
    /// Returns the tools, each of which holds a reference to `self`.
    fn tools(self: Arc<Self>) -> Vec<Tool>;
}
