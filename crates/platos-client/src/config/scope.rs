//! Whose agents and threads a call is about.

use super::secret::check_header;
use crate::error::ConfigError;

/// Organization, project and environment, and optionally the user on whose behalf a call is made.
///
/// In direct mode every call needs one with a user. With a session token the token has the scope in it, and this one is
/// sent beside it where it is given.
///
/// ```
/// use platos_client::Scope;
///
/// let scope = Scope::new("org_1", "proj_1", "env_prod").user("usr_7");
/// assert_eq!(scope.environment_id(), "env_prod");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_field_names, reason = "the ids of four different things")]
pub struct Scope {
    pub(crate) organization_id: String,
    pub(crate) project_id: String,
    pub(crate) environment_id: String,
    pub(crate) user_id: Option<String>,
    pub(crate) entity_id: Option<String>,
}

impl Scope {
    /// The scope of one environment.
    pub fn new(
        organization_id: impl Into<String>,
        project_id: impl Into<String>,
        environment_id: impl Into<String>,
    ) -> Self {
        Self {
            organization_id: organization_id.into(),
            project_id: project_id.into(),
            environment_id: environment_id.into(),
            user_id: None,
            entity_id: None,
        }
    }

    /// The same, on behalf of a user.
    pub fn user(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// The same, for one entity.
    pub fn entity(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    /// The organization's id.
    pub fn organization_id(&self) -> &str {
        &self.organization_id
    }

    /// The project's id.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The environment's id.
    pub fn environment_id(&self) -> &str {
        &self.environment_id
    }

    /// The user's id.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// The entity's id.
    pub fn entity_id(&self) -> Option<&str> {
        self.entity_id.as_deref()
    }
}

/// Whether a scope can be sent.
pub(crate) fn check_scope(scope: &Scope) -> Result<(), ConfigError> {
    for (part, id) in [
        ("organization", &scope.organization_id),
        ("project", &scope.project_id),
        ("environment", &scope.environment_id),
    ] {
        if id.trim().is_empty() {
            return Err(ConfigError::IncompleteScope { part });
        }
        check_header("an id of the scope", id)?;
    }
    for (what, id) in
        [("the user's id of the scope", &scope.user_id), ("the entity's id of the scope", &scope.entity_id)]
    {
        id.as_deref().map_or(Ok(()), |id| check_header(what, id))?;
    }
    Ok(())
}
