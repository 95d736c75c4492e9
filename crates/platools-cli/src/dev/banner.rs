//! What to do next, printed once at the start.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use platools_dev::{DevError, DevPlatform};
use platools_toolkit::cli::output::{Output, WriteError};
use serde::Serialize;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const LINK: Style = AnsiColor::Cyan.on_default().underline();

/// How to connect.
#[derive(Serialize)]
pub(super) struct Banner {
    /// Opens the page once.
    playground: String,
    url: String,
    api: String,
    api_token: String,
    entities: Vec<Seat>,
    scope: Scope,
    /// The file that keeps entities, secrets and token for the next start.
    kept_in: Option<PathBuf>,
}

/// What session tokens name besides the entity.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct Scope {
    organization_id: String,
    project_id: String,
    environment_id: String,
}

/// One entity, in its `dev` environment.
#[derive(Serialize)]
struct Seat {
    entity: String,
    url: String,
    secret: String,
}

impl Banner {
    /// What there is to know about a platform, its default entity first.
    pub(super) fn of(platform: &DevPlatform, kept_in: Option<PathBuf>) -> Result<Self, DevError> {
        let mut names = platform.entities();
        names.sort_by_key(|name| name != platform.entity());
        let seats = names.into_iter().map(|name| {
            let entity = platform.entity_in(&name, "dev")?;
            Ok(Seat { entity: name, url: entity.url(), secret: entity.secret().expose().to_owned() })
        });
        let url = platform.http_url();
        let scope = platform.scope();
        Ok(Self {
            scope: Scope {
                organization_id: scope.organization_id.unwrap_or_default(),
                project_id: scope.project_id.unwrap_or_default(),
                environment_id: scope.environment_id.unwrap_or_default(),
            },
            kept_in,
            entities: seats.collect::<Result<_, DevError>>()?,
            playground: platform.playground_url(),
            api: format!("{url}api/v1"),
            url,
            api_token: platform.api_token().expose().to_owned(),
        })
    }

    /// For people: what to open, and what to paste.
    pub(super) fn print(&self, output: &Output) -> Result<(), WriteError> {
        let Self { playground, url, api_token, entities, scope, kept_in, .. } = self;
        let mut text = format!(
            "\n  {BOLD}Playground{BOLD:#}  {LINK}{playground}{LINK:#}\n  {DIM}The link works once; in another browser, \
             enter the token below.{DIM:#}\n"
        );
        for Seat { entity, url, secret } in entities {
            let whose = if entities.len() > 1 { format!(" {entity}") } else { String::new() };
            text.push_str(&format_block(
                &format!("Start a host{whose} with"),
                &[("PLATOS_URL", url), ("PLATOS_SECRET", secret)],
            ));
        }
        let base = url.trim_end_matches('/');
        text.push_str(&format_block(
            "use `platools list` and `platools call` in another terminal with",
            &[("PLATOOLS_DEV_URL", base), ("PLATOOLS_DEV_TOKEN", api_token)],
        ));
        text.push_str(&format_block(
            "and `platools mint --user ID` with the lines of the host and",
            &[
                ("PLATOS_ORGANIZATION_ID", &scope.organization_id),
                ("PLATOS_PROJECT_ID", &scope.project_id),
                ("PLATOS_ENVIRONMENT_ID", &scope.environment_id),
            ],
        ));
        let kept = match kept_in {
            Some(_) => {
                "Entities, secrets and token stay the same for this folder; --ephemeral makes new ones. "
            }
            None => "",
        };
        let end = format!("\n  {DIM}{kept}Ctrl-C stops it.{DIM:#}\n\n");
        output.print(&(text + &end))
    }
}

/// Lines to paste into a shell.
fn format_block(title: &str, variables: &[(&str, &str)]) -> String {
    let mut text = format!("\n  {title}\n\n");
    for (name, value) in variables {
        // The values hold no quotes: slugs, ports and hexadecimal digits.
        let quoted = if value.contains(['&', '?']) { format!("'{value}'") } else { (*value).to_owned() };
        text.push_str("    export ");
        text.push_str(name);
        text.push('=');
        text.push_str(&quoted);
        text.push('\n');
    }
    text
}
