//! Agents and their versions.

use serde_json::json;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Agent, AgentVersion};

/// Calls about agents; from [`PlatosClient::agents`].
#[derive(Debug, Clone, Copy)]
pub struct Agents<'a> {
    pub(crate) client: &'a PlatosClient,
}

impl Agents<'_> {
    /// The agents of the scope: all of them, by as many requests as it takes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Agent>, Error> {
        self.client.all(Call::get(&["agents"]), None, &["agents"]).await
    }

    /// One agent, or `None` where there is none of that id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, agent_id: &str) -> Result<Option<Agent>, Error> {
        self.client.find(Call::get(&["agents", id("agent id", agent_id)?])).await
    }

    /// All versions of an agent, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_versions(&self, agent_id: &str) -> Result<Vec<AgentVersion>, Error> {
        let agent_id = id("agent id", agent_id)?;
        let newer = Call::get(&["agent-versions"]).query("agentId", Some(agent_id));
        let older = Call::get(&["agents", agent_id, "versions"]);
        self.client.all(newer, Some(older), &["agentVersions", "versions"]).await
    }

    /// One version of an agent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn version(&self, agent_id: &str, version_id: &str) -> Result<AgentVersion, Error> {
        let (agent_id, version_id) = (id("agent id", agent_id)?, id("version id", version_id)?);
        let newer = Call::get(&["agent-versions", version_id]).query("agentId", Some(agent_id));
        let older = Call::get(&["agents", agent_id, "versions", version_id]);
        self.client.send_or(newer, older).await?.part(&["agentVersion", "version"])
    }

    /// Brings an agent back to a version. Gives back the agent as it is then.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn roll_back(&self, agent_id: &str, version_id: &str) -> Result<Agent, Error> {
        let (agent_id, version_id) = (id("agent id", agent_id)?, id("version id", version_id)?);
        let body = json!({"agentId": agent_id});
        let newer = Call::once(&["agent-versions", version_id, "rollback"]).body(body);
        let older = Call::once(&["agents", agent_id, "versions", version_id, "rollback"]);
        self.client.send_or(newer, older).await?.part(&["agent"])
    }
}
