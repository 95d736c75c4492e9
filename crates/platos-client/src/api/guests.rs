//! Session tokens for people who did not log in.

use serde_json::json;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::GuestToken;

/// Calls for guests; from [`PlatosClient::guests`].
#[derive(Debug, Clone, Copy)]
pub struct Guests<'a> {
    pub(crate) client: &'a PlatosClient,
}

impl Guests<'_> {
    /// A token for one agent, which has to be open to guests. Without an environment, the agent must be public in
    /// exactly one. Who has no credentials asks by
    /// [`ClientBuilder::guest_token`](crate::ClientBuilder::guest_token).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn token(&self, agent_id: &str, environment_id: Option<&str>) -> Result<GuestToken, Error> {
        let mut body = json!({"agentId": id("agent id", agent_id)?});
        if let Some(environment) = environment_id {
            body["environmentId"] = environment.into();
        }
        let call = Call::once(&["guest-token"]).under(&["api", "v1", "public"]);
        let answer = self.client.send(call.body(body)).await.map_err(|error| match error {
            Error::NotFound(mut response) if !response.is_missing_route() => {
                response.message.push_str(", or it is not open to guests in exactly one environment");
                Error::NotFound(response)
            }
            error => error,
        });
        answer?.one()
    }
}
