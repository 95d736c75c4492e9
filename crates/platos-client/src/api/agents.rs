//! Agents and their versions.

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
    /// The agents of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Agent>, Error> {
        self.client.send(Call::get(&["agents"])).await?.list("agents")
    }

    /// One agent, or `None` where there is none of that id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, agent_id: &str) -> Result<Option<Agent>, Error> {
        self.client.find(Call::get(&["agents", id("agent id", agent_id)?])).await
    }

    /// The versions of an agent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_versions(&self, agent_id: &str) -> Result<Vec<AgentVersion>, Error> {
        let call = Call::get(&["agents", id("agent id", agent_id)?, "versions"]);
        self.client.send(call).await?.list("versions")
    }
}
