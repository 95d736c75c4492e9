//! Declarations of tools as members exchange them, and the gateway's table with the tools of all.

use std::sync::{Arc, Weak};
use std::time::Duration;

use platools::run::ToolTable;
use platools::tool::{Auth, Execution, RateLimit};
use platools::{Tool, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::desk::Offer;
use crate::map::HashMap;
use crate::member::Shell;
use crate::message::{Declared, MemberId};

/// A declaration as it travels. All that the platform hears of, and the limits that the gateway applies.
#[derive(Serialize, Deserialize)]
struct Spec {
    name: String,
    description: String,
    input_schema: Value,
    output_schema: Option<Value>,
    auth: String,
    roles: Vec<String>,
    annotations: Map<String, Value>,
    timeout_ms: Option<u64>,
    rate_limit: Option<String>,
    concurrency: Option<usize>,
    describe_parameters: Option<bool>,
}

/// The declaration of a tool of this member.
pub(crate) fn declared(tool: &Tool) -> Declared {
    let spec = tool.spec();
    let text = serde_json::to_string(&Spec {
        name: spec.name.clone(),
        description: spec.description.clone(),
        input_schema: Value::clone(&spec.input_schema),
        output_schema: spec.output_schema.as_deref().cloned(),
        auth: spec.auth.as_str().to_owned(),
        roles: spec.roles.clone(),
        annotations: spec.annotations.clone(),
        timeout_ms: spec.timeout.map(|timeout| timeout.as_millis() as u64),
        rate_limit: spec.rate_limit.map(|limit| limit.to_string()),
        concurrency: spec.concurrency,
        describe_parameters: spec.describe_parameters,
    });
    // Texts and JSON always serialize.
    let text = text.unwrap_or_default();
    let is_hinted = |hint: &str| spec.annotations.get(hint) == Some(&Value::Bool(true));
    Declared {
        name: spec.name.as_str().into(),
        hash: hash(&text),
        spec: text.into(),
        concurrency: spec.concurrency,
        is_blocking: tool.is_blocking(),
        runs_again: is_hinted("readOnlyHint") || is_hinted("idempotentHint"),
    }
}

/// The hash of a declaration. Builds of different compilers agree on it, so that equal declarations are known as equal.
fn hash(declaration: &str) -> u64 {
    let digest = Sha256::digest(declaration);
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Reads the declaration of another member.
fn read(declared: &Declared) -> Option<ToolSpec> {
    let read: Spec = serde_json::from_str(&declared.spec).ok()?;
    let auth = [Auth::None, Auth::User, Auth::Admin].into_iter().find(|auth| auth.as_str() == read.auth)?;
    let mut spec = ToolSpec::new(read.name)
        .description(read.description)
        .input_schema(read.input_schema)
        .output_schema(read.output_schema)
        .auth(auth)
        .roles(read.roles);
    spec.annotations = read.annotations;
    spec.timeout = read.timeout_ms.map(Duration::from_millis);
    spec.rate_limit = read.rate_limit.and_then(|limit| limit.parse::<RateLimit>().ok());
    spec.concurrency = read.concurrency;
    spec.describe_parameters = read.describe_parameters;
    Some(spec)
}

/// A tool that stands in the table for another member's.
#[derive(Debug)]
struct Placed {
    ours: Tool,
    hash: u64,
    is_gone: bool,
    /// The member's own tool of this name.
    original: Option<Tool>,
}

/// The table of the gateway, with the tools of all members.
#[derive(Debug, Default)]
pub(crate) struct Union {
    placed: HashMap<String, Placed>,
}

impl Union {
    /// The tools of this member itself, enabled ones only.
    pub(crate) fn own(&self, table: &ToolTable) -> Vec<Tool> {
        let entries = table.list();
        let enabled = entries.iter().filter(|entry| entry.is_enabled());
        enabled
            .filter_map(|entry| match self.placed.get(entry.name()) {
                Some(placed) if placed.ours.is_same(entry.tool()) => placed.original.clone(),
                _ => (entry.execution() == Execution::Local).then(|| entry.tool().clone()),
            })
            .collect()
    }

    /// Changes the table to what is offered; to the tools of this member alone if nothing is.
    pub(crate) fn apply(&mut self, table: &ToolTable, me: MemberId, offers: &[Offer], shell: &Weak<Shell>) {
        // Somebody else may have replaced or removed a tool of ours meanwhile.
        self.placed
            .retain(|name, placed| table.get(name).is_some_and(|entry| placed.ours.is_same(entry.tool())));
        let mut gone: Vec<String> = Vec::new();
        let mut new: Vec<Tool> = Vec::new();
        let mut next: HashMap<String, Placed> = HashMap::default();
        let mut wanted: HashMap<&str, &Offer> = HashMap::default();
        for offer in offers {
            if !offer.members.contains(&me) {
                wanted.insert(&offer.declared.name, offer);
            }
        }
        for (name, placed) in &self.placed {
            let is_same = wanted.get(name.as_str()).is_some_and(|offer| {
                offer.declared.hash == placed.hash && offer.gone.is_some() == placed.is_gone
            });
            if is_same {
                wanted.remove(name.as_str());
                continue;
            }
            gone.push(name.clone());
            if !wanted.contains_key(name.as_str()) {
                new.extend(placed.original.clone());
            }
        }
        for (name, offer) in wanted {
            let Some(spec) = read(&offer.declared) else {
                tracing::warn!(tool = name, "the declaration of another member cannot be read");
                continue;
            };
            let original = match self.placed.get(name) {
                Some(placed) => placed.original.clone(),
                None => table.get(name).map(|entry| entry.tool().clone()),
            };
            if original.as_ref().is_some_and(|tool| tool.execution() != Execution::Local) {
                continue;
            }
            if !gone.iter().any(|gone| gone == name) && original.is_some() {
                gone.push(name.to_owned());
            }
            let is_gone = offer.gone.is_some();
            let ours = if is_gone {
                Tool::withheld(spec, "no replica that has this tool is running, retry in a moment")
            } else {
                let (shell, tool) = (Weak::clone(shell), Arc::clone(&offer.declared.name));
                Tool::remote(spec).down_while(move || shell.upgrade()?.down(&tool))
            };
            new.push(ours.clone());
            let hash = offer.declared.hash;
            next.insert(name.to_owned(), Placed { ours, hash, is_gone, original });
        }
        if gone.is_empty() && new.is_empty() {
            return;
        }
        let names: Vec<&str> = gone.iter().map(String::as_str).collect();
        match table.replace(&names, new) {
            Ok(()) => {
                self.placed.retain(|name, _| !gone.contains(name));
                self.placed.extend(next);
            }
            Err(error) => tracing::error!("the tools of other members cannot be declared: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_has_the_same_hash_in_every_build() {
        // The first eight bytes of SHA-256 of "abc".
        assert_eq!(hash("abc"), 0xba78_16bf_8f01_cfea);
    }
}
