//! A small door for programs: connect to an MCP server, list its tools, call one.

use std::fmt;
use std::time::Duration;

use platools::{Progress, ToolResult, ToolSpec};
use serde_json::{Map, Value};

use crate::link::Link;
use crate::{Bearer, UpstreamError, clean, http};

/// How long the handshake and a list may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that an answer may have.
const MAX_RESULT: usize = 16 << 20;

/// A connection to an MCP server.
///
/// ```no_run
/// use std::time::Duration;
/// use platools_upstream::{Bearer, Client};
/// use serde_json::Map;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let bearer = Bearer::new(std::env::var("MCP_TOKEN")?)?;
/// let client = Client::connect_http("https://mcp.example/mcp", Some(&bearer)).await?;
/// for tool in client.list_tools().await? {
///     println!("{}: {}", tool.name, tool.description);
/// }
/// match client.call_tool("today", Map::new(), Duration::from_secs(30)).await? {
///     Ok(output) => println!("{}", output.into_json()),
///     Err(error) => eprintln!("the tool failed: {error}"),
/// }
/// client.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Client {
    link: Link,
}

impl Client {
    /// Connects to a server that speaks MCP over Streamable HTTP. Redirects are not followed. The proxies of
    /// the environment are used: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, and `HTTP_PROXY` for `http://`.
    ///
    /// # Errors
    /// When the URL cannot be asked, nobody answers within 30 s, or who answers is no MCP server.
    pub async fn connect_http(url: &str, bearer: Option<&Bearer>) -> Result<Self, UpstreamError> {
        let url = http::endpoint(url, bearer.is_some())?;
        let transport = http::transport(http::client(&url)?, &url, bearer, MAX_RESULT);
        Ok(Self { link: Link::open(transport, REQUEST_TIMEOUT, MAX_RESULT).await? })
    }

    /// The tools that the server declares, in its order, without characters that are not shown and without texts that are
    /// too long to be read.
    ///
    /// # Errors
    /// When there is no answer within 30 s.
    pub async fn list_tools(&self) -> Result<Vec<ToolSpec>, UpstreamError> {
        let declared = self.link.caller().list(REQUEST_TIMEOUT).await?;
        let clean = |spec: ToolSpec| {
            let name = clean::label(&spec.name);
            let cleaned = clean::declaration(spec);
            cleaned.inspect_err(|problem| {
                tracing::warn!(tool = name, problem, "a tool of the MCP server is left out");
            })
        };
        Ok(declared.into_iter().filter_map(|spec| clean(spec).ok()).map(|(spec, _)| spec).collect())
    }

    /// Calls a tool and waits at most `time` for its answer; the server is told when that is over. Of structured
    /// content and the text that repeats it, the answer is the former.
    ///
    /// # Errors
    /// When there is no answer, or one of more than 16 MiB. A tool that fails has answered: that is the inner error.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        time: Duration,
    ) -> Result<ToolResult, UpstreamError> {
        let call = self.link.caller().call(name, arguments, Progress::default());
        tokio::time::timeout(time, call).await.unwrap_or(Err(UpstreamError::Timeout(time)))
    }

    /// Ends the session. Without it, the server finds out by itself.
    pub async fn close(self) {
        self.link.close().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
