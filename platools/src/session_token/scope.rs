//! The scope of all tokens of one mint.

use super::ClaimsError;
use crate::wire::Scope;

/// The organization, project and environment of a token, and the entity that issues it.
///
/// ```
/// use platools::session_token::SessionScope;
///
/// let scope = SessionScope::new("org_1", "proj_1", "env_prod", "orders-prod");
/// assert_eq!(scope.entity_id, "orders-prod");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionScope {
    /// The organization.
    pub organization_id: String,
    /// The project.
    pub project_id: String,
    /// The environment.
    pub environment_id: String,
    /// The connected entity.
    pub entity_id: String,
}

impl SessionScope {
    /// Creates a scope. Blank ids are rejected when a mint is created with it.
    pub fn new(
        organization_id: impl Into<String>,
        project_id: impl Into<String>,
        environment_id: impl Into<String>,
        entity_id: impl Into<String>,
    ) -> Self {
        Self {
            organization_id: organization_id.into(),
            project_id: project_id.into(),
            environment_id: environment_id.into(),
            entity_id: entity_id.into(),
        }
    }

    /// Returns the ids with their names in a token.
    pub(super) fn ids(&self) -> [(&'static str, &str); 4] {
        [
            ("organizationId", &self.organization_id),
            ("projectId", &self.project_id),
            ("environmentId", &self.environment_id),
            ("entityId", &self.entity_id),
        ]
    }

    /// Checks that no id is blank.
    pub(super) fn check(&self) -> Result<(), ClaimsError> {
        match self.ids().into_iter().find(|(_, id)| id.trim().is_empty()) {
            Some((field, _)) => Err(ClaimsError::Blank { field }),
            None => Ok(()),
        }
    }
}

impl TryFrom<Scope> for SessionScope {
    type Error = ClaimsError;

    /// Converts the scope of a connection, from the platform's `welcome`.
    ///
    /// ```
    /// use platools::session_token::SessionScope;
    /// use platools::wire::Scope;
    ///
    /// assert!(SessionScope::try_from(Scope::default()).is_err());
    /// ```
    fn try_from(scope: Scope) -> Result<Self, ClaimsError> {
        let id = |id: Option<String>| id.unwrap_or_default();
        let scope = Self {
            organization_id: id(scope.organization_id),
            project_id: id(scope.project_id),
            environment_id: id(scope.environment_id),
            entity_id: id(scope.entity_id),
        };
        scope.check()?;
        Ok(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_id_is_rejected_and_named() {
        for (at, field) in ["organizationId", "projectId", "environmentId", "entityId"].iter().enumerate() {
            for blank in ["", " \t"] {
                let mut ids = ["a"; 4];
                ids[at] = blank;
                let error = SessionScope::new(ids[0], ids[1], ids[2], ids[3]).check().unwrap_err();
                assert_eq!(error.field(), *field);
                assert!(error.to_string().contains(field), "{error}");
            }
        }
        SessionScope::new("a", "b", "c", "d").check().unwrap();
    }
}
