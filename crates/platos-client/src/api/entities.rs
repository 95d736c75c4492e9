//! Entities: backends that host tools.

use serde::Serialize;
use serde_json::{Value, json};

use super::jobs::json_of;
use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Entity, EntitySecret, Extra, ToolRun};

/// Calls about entities; from [`PlatosClient::entities`].
#[derive(Debug, Clone, Copy)]
pub struct Entities<'a> {
    pub(crate) client: &'a PlatosClient,
}

/// An entity to create.
///
/// ```
/// use platos_client::NewEntity;
///
/// let entity = NewEntity::new("orders-prod", "Orders");
/// # let _ = entity;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntity {
    fields: Extra,
}

impl NewEntity {
    /// An entity by its slug, 1 or 3 to 64 small letters, digits and dashes, and what people call it.
    pub fn new(entity_id: impl Into<String>, display_name: impl Into<String>) -> Self {
        let empty = Self { fields: Extra::new() };
        empty.field("entityId", entity_id.into()).field("displayName", display_name.into())
    }

    /// Any other field, as the platform calls it, such as `connectionKind`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

impl Entities<'_> {
    /// The entities of the environment.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Entity>, Error> {
        self.client.all(Call::get(&["entities"]), None, &["entities", "items"]).await
    }

    /// One entity, or `None` where there is none of that slug.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, entity_id: &str) -> Result<Option<Entity>, Error> {
        self.client.find(Call::get(&["entities", id("entity id", entity_id)?])).await
    }

    /// Creates an entity, for operators. Its secret is in the answer and is never shown again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, entity: NewEntity) -> Result<EntitySecret, Error> {
        let call = Call::once(&["entities"]).body(Value::Object(entity.fields));
        self.client.send(call).await?.one()
    }

    /// Replaces an entity's secret, for operators; connections with the one before are closed. The secret is in the
    /// answer and is never shown again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn regenerate_secret(&self, entity_id: &str) -> Result<EntitySecret, Error> {
        let call = Call::once(&["entities", id("entity id", entity_id)?, "regenerate-secret"]);
        self.client.send(call).await?.one()
    }

    /// Calls one of the entity's tools over its connection, for operators: `ping` unless one is named.
    ///
    /// # Errors
    /// See [`Error`]. A tool that fails is no error: see its status.
    pub async fn wire_test(
        &self,
        entity_id: &str,
        tool_name: Option<&str>,
        parameters: impl Serialize,
    ) -> Result<ToolRun, Error> {
        let body = json!({"toolName": tool_name.unwrap_or("ping"), "params": json_of(parameters)?});
        let call = Call::once(&["entities", id("entity id", entity_id)?, "wire-test"]);
        self.client.send(call.body(body)).await?.one()
    }

    /// Deletes an entity.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, entity_id: &str) -> Result<(), Error> {
        self.client.send(Call::delete(&["entities", id("entity id", entity_id)?])).await?.done("deleted")
    }
}
