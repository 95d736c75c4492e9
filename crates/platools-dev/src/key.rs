//! Names: entities, and the environments they connect to (protocol §1, §2).

use std::fmt;

use platools::wire::Scope;

/// The one organization and project of the development platform.
const ORGANIZATION_ID: &str = "org_dev";
const PROJECT_ID: &str = "proj_dev";

/// One entity in one environment: what has at most one live connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey {
    /// The entity's slug.
    pub entity: String,
    /// The environment's slug: `dev`, `staging`, `preview` or `prod`.
    pub environment: String,
}

impl EntityKey {
    pub(crate) fn new(entity: &str, environment: &str) -> Self {
        Self { entity: entity.to_owned(), environment: environment.to_owned() }
    }

    /// The scope of a connection, as `welcome` states it and the envelopes repeat it.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            organization_id: Some(ORGANIZATION_ID.to_owned()),
            project_id: Some(PROJECT_ID.to_owned()),
            environment_id: Some(environment_id(&self.environment)),
            entity_id: Some(self.entity.clone()),
        }
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entity `{}` in environment `{}`", self.entity, self.environment)
    }
}

/// The environments of the platform's one project.
pub(crate) const ENVIRONMENTS: [&str; 4] = ["dev", "staging", "preview", "prod"];

/// The slug of the environment that is named by a slug, an alias or an id; `dev` when none is named.
pub(crate) fn resolve_environment(name: Option<&str>) -> Option<&'static str> {
    let name = name.unwrap_or("dev");
    let slug = match name {
        "development" => "dev",
        "stage" => "staging",
        "production" => "prod",
        other => other.strip_prefix("env_").unwrap_or(other),
    };
    ENVIRONMENTS.into_iter().find(|known| *known == slug)
}

/// The id of an environment, as `welcome` states it.
fn environment_id(slug: &str) -> String {
    format!("env_{slug}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_go_by_slug_alias_and_id() {
        for (name, slug) in [
            (None, Some("dev")),
            (Some("development"), Some("dev")),
            (Some("stage"), Some("staging")),
            (Some("staging"), Some("staging")),
            (Some("preview"), Some("preview")),
            (Some("production"), Some("prod")),
            (Some("env_prod"), Some("prod")),
            (Some("nowhere"), None),
            (Some(""), None),
        ] {
            assert_eq!(resolve_environment(name), slug, "{name:?}");
        }
    }
}
