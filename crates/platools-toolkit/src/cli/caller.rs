//! Options of a command line that describe the caller.

use std::time::Duration;

use clap::Args;
use platools::caller::CallContext;
use serde_json::Value;

use crate::testing;

/// Options that say who is calling; for `#[command(flatten)]`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Who is calling")]
#[non_exhaustive]
pub struct Caller {
    /// The user's id
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// The user's token, for tools that verify it; `env:NAME` takes it from a variable
    #[arg(long, value_name = "TOKEN|env:NAME")]
    pub user_token: Option<String>,
    /// An access token that the entity issued; `env:NAME` takes it from a variable
    #[arg(long, value_name = "TOKEN|env:NAME")]
    pub entity_token: Option<String>,
    /// Be a verified user with this role, without a token; may be repeated
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
    /// The agent's id
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// The thread's id
    #[arg(long, value_name = "ID")]
    pub thread: Option<String>,
    /// A member of `_context`, such as `user.plan=pro`; a value that is JSON is taken as JSON; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = member)]
    pub context: Vec<(String, Value)>,
}

fn member(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is empty: write KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

impl Caller {
    /// Returns the context of a call by this caller.
    ///
    /// # Errors
    /// If a token refers to a variable that is not set.
    pub fn context(&self) -> Result<CallContext, String> {
        Ok(self.described()?.fill(CallContext::builder()).build())
    }

    /// Returns the options as words of a command line, without any token.
    ///
    /// # Errors
    /// If a token is given directly instead of as `env:NAME`.
    #[cfg(feature = "mcp")]
    pub(super) fn words(&self) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        let mut add = |option: &str, value: &str| words.push(format!("--{option}={value}"));
        let single = [
            ("user", &self.user),
            ("user-token", &self.user_token),
            ("entity-token", &self.entity_token),
            ("agent", &self.agent),
            ("thread", &self.thread),
        ];
        for (option, value) in single {
            let Some(value) = value else { continue };
            if option.ends_with("-token") && !value.starts_with("env:") {
                return Err(format!("--{option}: name a variable that has it, as env:NAME; this is printed"));
            }
            add(option, value);
        }
        for role in &self.role {
            add("role", role);
        }
        for (key, value) in &self.context {
            add("context", &format!("{key}={value}"));
        }
        Ok(words)
    }

    /// Converts the options to the caller of test cases.
    pub(super) fn described(&self) -> Result<testing::Caller, String> {
        let mut caller = testing::Caller::default();
        if let Some(user) = &self.user {
            caller = caller.user_id(user);
        }
        if let Some(reference) = &self.user_token {
            caller = caller.user_token(token(reference)?);
        }
        if let Some(reference) = &self.entity_token {
            caller = caller.entity_token(token(reference)?);
        }
        if !self.role.is_empty() {
            caller = caller.roles(&self.role);
        }
        if let Some(agent) = &self.agent {
            caller = caller.agent_id(agent);
        }
        if let Some(thread) = &self.thread {
            caller = caller.thread_id(thread);
        }
        for (key, value) in &self.context {
            caller = caller.context(key, value.clone());
        }
        Ok(caller)
    }
}

/// Parses a duration of a command line, such as `500ms`, `30s` or `5m`.
///
/// # Errors
/// If the text is something else; the message shows how a duration is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a number and a unit, such as 500ms, 30s or 5m".to_owned())
}

/// Resolves a token of a command line: the token itself, or `env:NAME` for the value of a variable.
///
/// # Errors
/// If the variable is not set.
pub fn token(text: &str) -> Result<String, String> {
    let Some(variable) = text.strip_prefix("env:") else { return Ok(text.to_owned()) };
    std::env::var(variable).map_err(|_| format!("the variable `{variable}` is not set"))
}
