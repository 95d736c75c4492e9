//! Tools that agents may call, and what they did.

use serde::Serialize;
use serde_json::{Value, json};

use super::jobs::json_of;
use super::query;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Tool, ToolCallRecord, ToolRun};

/// Calls about tools; from [`PlatosClient::tools`].
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    pub(crate) client: &'a PlatosClient,
}

impl Tools<'_> {
    /// The tools of the environment, of a category if one is named.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, category: Option<&str>) -> Result<Vec<Tool>, Error> {
        self.client.all(Call::get(&["tools"]).query("category", category), None, &["tools"]).await
    }

    /// The tools that fit what is to be done.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn search(&self, text: &str, limit: Option<u32>) -> Result<Vec<Tool>, Error> {
        let call = Call::get(&["tools", "search"]).query("q", Some(text)).query("limit", limit);
        self.client.send(call).await?.list("results")
    }

    /// Lets agents call a tool, or not; for operators.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn enable(&self, entity_id: &str, tool_name: &str, enabled: bool) -> Result<(), Error> {
        let (entity, tool) = (id("entity id", entity_id)?, id("tool name", tool_name)?);
        let call = Call::patch(&["tools", entity, tool, "enabled"]);
        self.client.send(call.body(json!({"enabled": enabled}))).await?.done("ok")
    }

    /// Calls a tool at once, without an agent; for operators. A tool that fails is no error: see its status.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn execute(&self, tool_name: &str, parameters: impl Serialize) -> Result<ToolRun, Error> {
        let body = json!({"tool": tool_name, "params": json_of(parameters)?});
        self.client.send(Call::once(&["tools", "execute"]).body(body)).await?.one()
    }
}

query! {
    /// Which calls of tools to list.
    pub struct ToolCallsQuery {
        /// Of one thread.
        thread: String = "threadId",
        /// Of one agent.
        agent: String = "agentId",
        /// Of one tool.
        tool: String = "toolName",
        /// Of one entity.
        entity: String = "entityId",
        /// That ended so: `success`, `failed` or `timeout`.
        status: String = "status",
        /// Of so many last days.
        days: u32 = "sinceDays",
        /// From this one on.
        offset: u32 = "offset",
        /// How many at most.
        limit: u32 = "limit",
    }
}

/// Calls about what tools did, for operators; from [`PlatosClient::tool_calls`].
#[derive(Debug, Clone, Copy)]
pub struct ToolCalls<'a> {
    pub(crate) client: &'a PlatosClient,
}

const OLDER: [&str; 2] = ["monitoring", "tool-audit"];

impl ToolCalls<'_> {
    /// What tools did, newest first: one page, of 25 unless [`limit`](ToolCallsQuery::limit) says otherwise, 200 at most.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: ToolCallsQuery) -> Result<Vec<ToolCallRecord>, Error> {
        let newer = query.clone().apply(Call::get(&["tool-calls"]));
        let older = query.apply(Call::get(&OLDER));
        self.client.send_or(newer, older).await?.list_of(&["rows", "items"])
    }

    /// One call of a tool.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, call_id: &str) -> Result<ToolCallRecord, Error> {
        let call = id("tool call id", call_id)?;
        let older = Call::get(&[OLDER[0], OLDER[1], call]);
        self.client.send_or(Call::get(&["tool-calls", call]), older).await?.one()
    }

    /// Calls the tool again with what it was given, and gives back both.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replay(&self, call_id: &str) -> Result<Value, Error> {
        let call = id("tool call id", call_id)?;
        let older = Call::once(&[OLDER[0], OLDER[1], call, "replay"]);
        self.client.send_or(Call::once(&["tool-calls", call, "replay"]), older).await?.one()
    }
}
