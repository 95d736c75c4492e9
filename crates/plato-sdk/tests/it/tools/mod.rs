//! Desktops as tools of a host, as a model and an operator use them.

mod answers;
mod conversations;
mod mcp;
mod schemas;

use std::time::Duration;

use plato_sdk::testing::FakePlato;
use plato_sdk::tools::DesktopTools;
use plato_sdk::{Env, JobId, Plato};
use platools::{CallContext, LocalHost, Platools, ToolError, ToolOutput};
use serde_json::{Value, json};

pub(super) fn desktops(plato: &Plato) -> DesktopTools {
    DesktopTools::per_conversation(plato, |plato| {
        plato.session().env(Env::simulator("ubuntu-vm").alias("desktop"))
    })
}

pub(super) fn host(tools: DesktopTools) -> LocalHost {
    Platools::builder().tools(tools.build()).build_local().unwrap()
}

pub(super) async fn call_in(
    host: &LocalHost,
    thread: &str,
    tool: &str,
    arguments: Value,
) -> Result<ToolOutput, ToolError> {
    let context = CallContext::builder().user_id("usr_7").thread_id(thread).build();
    host.call(tool, arguments.try_into().unwrap(), context).await
}

pub(super) async fn call(host: &LocalHost, tool: &str, arguments: Value) -> ToolOutput {
    call_in(host, "t1", tool, arguments).await.unwrap()
}

pub(super) async fn refused(host: &LocalHost, tool: &str, arguments: Value) -> String {
    call_in(host, "t1", tool, arguments).await.unwrap_err().to_string()
}

/// Waits for something that must happen.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it takes far too long")
}

/// Calls until `is_done` accepts the result; that takes as long as a desktop needs to start, or to be found dead.
pub(super) async fn call_until(
    host: &LocalHost,
    thread: &str,
    tool: &str,
    is_done: impl Fn(&Result<ToolOutput, ToolError>) -> bool,
) -> Result<ToolOutput, ToolError> {
    let arguments = || if tool == "bash" { json!({"command": "true"}) } else { json!({}) };
    guarded(async {
        loop {
            let result = call_in(host, thread, tool, arguments()).await;
            if is_done(&result) {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// The only desktop of the double.
pub(super) fn job(fake: &FakePlato) -> JobId {
    let asked =
        fake.requests().into_iter().rev().find(|request| request.path.starts_with("/_desktop/")).unwrap();
    JobId::from(asked.path.split('/').nth(2).unwrap())
}

/// The picture in an answer, as an image of a media type, and the words beside it.
pub(super) fn picture(output: &ToolOutput) -> (String, Vec<u8>, String) {
    let media = output.as_media().cloned();
    let parts = output.as_content().unwrap_or_default();
    let value = output.to_value();
    let (image, words) = match &media {
        Some(_) => (value.clone(), String::new()),
        None => (value["content"][1].clone(), value["content"][0]["text"].as_str().unwrap().to_owned()),
    };
    assert!(media.is_some() || parts.len() == 2, "{value}");
    assert_eq!(image["type"], "image");
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, image["data"].as_str().unwrap());
    (image["mimeType"].as_str().unwrap().to_owned(), bytes.unwrap(), words)
}
