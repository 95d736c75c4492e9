//! `mint`: one session token.

use std::time::Duration;

use clap::Args;
use platools::session_token::{MintConfigError, SESSION_TOKEN_HEADER};
use platools::session_token::{SessionClaims, SessionTokens};
use platools_toolkit::cli::output::Output;
use serde_json::Value;

use crate::Failure;

#[derive(Debug, Args)]
#[command(after_help = format!(
    "Reads PLATOS_ORGANIZATION_ID, PLATOS_PROJECT_ID, PLATOS_ENVIRONMENT_ID, PLATOS_ENTITY, and PLATOS_SECRET or \
     PLATOS_SECRET_FILE, all of which `platools dev` prints for its platform; or, for a token that the platform signs, \
     PLATOS_MINT_URL and PLATOS_MINT_BEARER.\n\
     Only the token is printed. A client sends it as {SESSION_TOKEN_HEADER}."
))]
pub(crate) struct Options {
    /// The user that the token is for
    #[arg(long, value_name = "ID")]
    user: String,
    /// How long it lives, from 1m to 7d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = platools_toolkit::cli::duration)]
    lifetime: Duration,
    /// A proof of the user that tool calls get; `env:NAME` takes it from a variable
    #[arg(long, value_name = "TOKEN|env:NAME")]
    user_token: Option<String>,
    /// The only agent that it is good for
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// The user's name, for prompts
    #[arg(long)]
    name: Option<String>,
    /// The user's e-mail address, for prompts
    #[arg(long)]
    email: Option<String>,
    /// One claim more, such as `plan=pro`; a value that is JSON is taken as JSON; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

pub(crate) async fn run(options: Options, output: &Output) -> Result<(), Failure> {
    let mut claims = SessionClaims::for_user(options.user).lifetime(options.lifetime);
    if let Some(token) = options.user_token {
        let token = platools_toolkit::cli::token(&token).map_err(Failure::Usage)?;
        claims = claims.user_token(token);
    }
    if let Some(agent) = options.agent {
        claims = claims.agent(agent);
    }
    if let Some(name) = options.name {
        claims = claims.name(name);
    }
    if let Some(email) = options.email {
        claims = claims.email(email);
    }
    for (name, value) in options.claim {
        claims = claims.claim(name, value);
    }
    // Found before anybody is asked.
    claims.clone().check().map_err(|error| Failure::Usage(error.to_string()))?;
    let tokens = SessionTokens::from_env().map_err(|error| Failure::Usage(explain(&error)))?;
    let token = tokens.mint(claims).await.map_err(|error| Failure::Failed(Some(error.to_string())))?;
    Ok(output.print(&format!("{}\n", token.as_str()))?)
}

/// What is wrong with the configuration, for those who have no code to change.
fn explain(error: &MintConfigError) -> String {
    match error {
        MintConfigError::Missing { what, variable } => format!("{what} is missing: set {variable}"),
        other => other.to_string(),
    }
}
