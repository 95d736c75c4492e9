//! Who a call comes from, as a command line says it.

use clap::Args;
use serde_json::Value;

use crate::context::CallContext;
use crate::security::Identity;

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
    /// The context of a call by this caller.
    ///
    /// # Errors
    /// When a token is to come from a variable that is not set.
    pub fn context(&self) -> Result<CallContext, String> {
        let mut context = CallContext::builder();
        if let Some(user) = &self.user {
            context = context.user_id(user);
        }
        if let Some(token) = &self.user_token {
            context = context.user_token(secret(token)?);
        }
        if let Some(token) = &self.entity_token {
            context = context.entity_token(secret(token)?);
        }
        if !self.role.is_empty() {
            let subject = self.user.as_deref().unwrap_or("local");
            context = context.identity(Identity::new(subject).with_roles(&self.role));
        }
        if let Some(agent) = &self.agent {
            context = context.agent_id(agent);
        }
        if let Some(thread) = &self.thread {
            context = context.thread_id(thread);
        }
        for (key, value) in &self.context {
            context = context.context(key, value.clone());
        }
        Ok(context.build())
    }
}

/// A token, or what the variable that it names holds.
fn secret(text: &str) -> Result<String, String> {
    let Some(variable) = text.strip_prefix("env:") else { return Ok(text.to_owned()) };
    std::env::var(variable).map_err(|_| format!("the variable `{variable}` is not set"))
}
