//! The configuration of an upstream: where the server is, and which of its tools are taken under which names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use platools::ToolSpec;
use platools::host::StateDir;

use crate::Bearer;

/// Variables that a server's process inherits unless said otherwise: what programs need to run at all.
const INHERITED: [&str; 8] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"];

/// A program that is an MCP server on its standard input and output.
///
/// ```
/// use platools_upstream::ServerProgram;
///
/// let program = ServerProgram::new("mcp-server-filesystem").arg("/srv/files").env("LOG_LEVEL", "warn");
/// ```
#[derive(Clone)]
pub struct ServerProgram {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) inherited: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl ServerProgram {
    /// A program by its path, or by its name in `PATH`. No shell is involved.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let inherited = INHERITED.map(str::to_owned).to_vec();
        Self { program: program.into(), arguments: Vec::new(), folder: None, inherited, env: Vec::new() }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Where it runs; where this program runs unless said otherwise.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The variables that it inherits, instead of `HOME`, `LANG`, `LC_ALL`, `LOGNAME`, `PATH`, `TMPDIR`, `TZ` and
    /// `USER`. It inherits no others.
    pub fn inherit<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.inherited = names.into_iter().map(Into::into).collect();
        self
    }

    /// A variable that it gets.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for ServerProgram {
    /// Without arguments and the values of variables: tokens are given in both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerProgram").field("program", &self.program).finish_non_exhaustive()
    }
}

/// Changes the declaration of a tool.
pub(crate) type Declare = Arc<dyn Fn(ToolSpec) -> ToolSpec + Send + Sync>;

/// Where a server is.
#[derive(Clone)]
pub(crate) enum Source {
    Program(ServerProgram),
    Url {
        url: String,
        bearer: Option<Bearer>,
        /// Connects; without one, anything that the URL's host resolves to is reached.
        client: Option<reqwest::Client>,
    },
}

/// An MCP server whose tools are taken over.
///
/// ```
/// use platools_upstream::{ServerProgram, UpstreamConfig};
///
/// let config = UpstreamConfig::program("files", ServerProgram::new("mcp-server-filesystem").arg("/srv/files"))
///     .prefix("files_")
///     .only(["read_text_file", "list_directory"]);
/// ```
#[derive(Clone)]
pub struct UpstreamConfig {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) prefix: String,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) declare: Option<Declare>,
    /// By the server's name for the tool.
    pub(crate) declare_tools: Vec<(String, Declare)>,
    pub(crate) pin: bool,
    pub(crate) remember_in: Option<StateDir>,
    pub(crate) start_timeout: Duration,
    pub(crate) max_result: usize,
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
    pub(crate) look: Duration,
}

impl UpstreamConfig {
    fn new(name: String, source: Source) -> Self {
        Self {
            name,
            source,
            prefix: String::new(),
            only: None,
            declare: None,
            declare_tools: Vec::new(),
            pin: false,
            remember_in: None,
            start_timeout: Duration::from_secs(30),
            max_result: 1 << 20,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            look: Duration::from_secs(60),
        }
    }

    /// A server that is started here. `name` stands in messages.
    pub fn program(name: impl Into<String>, program: ServerProgram) -> Self {
        Self::new(name.into(), Source::Program(program))
    }

    /// A server that runs elsewhere, and speaks Streamable HTTP.
    pub fn url(name: impl Into<String>, url: impl Into<String>, bearer: Option<Bearer>) -> Self {
        Self::new(name.into(), Source::Url { url: url.into(), bearer, client: None })
    }

    /// Connects to a server at a URL with this client, such as one that knows which addresses may be reached. It must not
    /// follow redirects: the bearer token would be sent along.
    // Hidden, since the client's type is a dependency's: for crates of this workspace only.
    #[doc(hidden)]
    pub fn connect_with(mut self, with: reqwest::Client) -> Self {
        if let Source::Url { client, .. } = &mut self.source {
            *client = Some(with);
        }
        self
    }

    /// Sets the prefix of the tools' names.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The tools that are taken, by the server's names for them; all of them unless said otherwise.
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Changes the declaration of each tool, for example to limit its calls. Its name is the final one already.
    ///
    /// ```
    /// use platools_upstream::{ServerProgram, UpstreamConfig};
    ///
    /// let config = UpstreamConfig::program("files", ServerProgram::new("mcp-server-filesystem").arg("/srv/files"))
    ///     .declared_as(|spec| spec.concurrency(4));
    /// ```
    pub fn declared_as(mut self, declare: impl Fn(ToolSpec) -> ToolSpec + Send + Sync + 'static) -> Self {
        self.declare = Some(Arc::new(declare));
        self
    }

    /// Changes the declaration of one tool, by the server's name for it, after [`declared_as`](Self::declared_as): a
    /// server's hints are its own claims. If the server has no such tool, the log says so.
    ///
    /// ```
    /// use platools_upstream::{ServerProgram, UpstreamConfig};
    ///
    /// let config = UpstreamConfig::program("files", ServerProgram::new("mcp-server-filesystem").arg("/srv/files"))
    ///     .declare_tool("write_file", |spec| spec.read_only(false).destructive(true));
    /// ```
    pub fn declare_tool(
        mut self,
        name: impl Into<String>,
        declare: impl Fn(ToolSpec) -> ToolSpec + Send + Sync + 'static,
    ) -> Self {
        self.declare_tools.push((name.into(), Arc::new(declare)));
        self
    }

    /// Pins the definitions of the tools: what the server declares first is accepted. A tool that it declares otherwise
    /// later stays declared as it was accepted, and its calls are answered with an error; one that it adds is not declared.
    /// Both wait until they are accepted ([`PinReview`](crate::PinReview)), and the log says what changed.
    ///
    /// What is accepted is kept in the directory of [`remember_in`](Self::remember_in), by the server's name: another
    /// command or URL makes no other server of it. Without a directory it lasts as long as this process.
    pub fn pin(mut self, pin: bool) -> Self {
        self.pin = pin;
        self
    }

    /// Remembers the tools that the server declared last in a file of this directory. After a restart, they are declared
    /// until the server is up, and calls of them are answered with the reason why it is not. Without a directory they are
    /// remembered within the process only.
    ///
    /// Tools that are remembered for the same command or URL under another name are found, too. If nothing is remembered
    /// for the command or URL, the tools that the server of this name declared last stay declared: it is most likely
    /// another version. A file that is corrupt or larger than 16 MiB is ignored.
    pub fn remember_in(mut self, directory: StateDir) -> Self {
        self.remember_in = Some(directory);
        self
    }

    /// How long starting and the handshake may take, and a list of tools; 30 s unless said otherwise.
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.start_timeout = time;
        self
    }

    /// The largest result that is passed on, in bytes; 1 MiB unless said otherwise.
    pub fn max_result(mut self, bytes: usize) -> Self {
        self.max_result = bytes;
        self
    }

    /// How long to wait before a server that is down is tried again: about `first`, doubling to `longest`. 1 s and
    /// 60 s unless said otherwise.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_wait, self.longest_wait) = (first, longest.max(first));
        self
    }

    /// How often a server at a URL is asked for its tools without being called, which also tells that it is there;
    /// 60 s unless said otherwise. The end of a program is noticed at once.
    pub fn look_every(mut self, time: Duration) -> Self {
        self.look = time.max(Duration::from_millis(10));
        self
    }

    /// Returns the parts that identify the server: its command line or URL, without secrets, which may be rotated.
    pub(crate) fn source_parts(&self) -> Vec<Option<&str>> {
        match &self.source {
            Source::Program(program) => {
                let folder = program.folder.as_deref().and_then(Path::to_str);
                let arguments = program.arguments.iter().map(|argument| Some(argument.as_str()));
                [Some("program"), program.program.to_str(), folder].into_iter().chain(arguments).collect()
            }
            Source::Url { url, .. } => vec![Some("url"), Some(url)],
        }
    }

    /// The most that one message may have, in bytes. Lists of tools are often longer than results may be.
    pub(crate) fn max_message(&self) -> usize {
        self.max_result.saturating_mul(2).max(16 << 20)
    }
}

impl fmt::Debug for UpstreamConfig {
    /// Without the URL: its query may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamConfig").field("name", &self.name).finish_non_exhaustive()
    }
}
