//! What goes wrong between a host and its platform, and what the host makes of it.

mod closes;
mod floods;
mod frames_cut;
mod load;
mod redelivery;
mod restart;
mod shutdown;
mod silence;
mod tools;

use std::sync::atomic::{AtomicU64, Ordering};

use platools::Platools;
use platools::host::{HostEvent, HostEvents};
use platools::verify::SigningKey;
use platools::wire::{Envelope, platform};
use platools_dev::{ConnectedEntity, DevPlatform, DevPlatformOptions, Event, Events};
use serde_json::{Value, json};
use tests::proxy::Proxy;
use tokio::time::timeout;

use super::support::{GUARD, Running, answer, builder};

/// A platform, a proxy before it, and a host that has registered all tools through the proxy.
pub(crate) async fn proxied() -> (DevPlatform, Proxy, Running) {
    proxied_with(DevPlatformOptions::new(), |builder| builder).await
}

async fn proxied_with(
    options: DevPlatformOptions,
    change: impl FnOnce(Platools) -> Platools,
) -> (DevPlatform, Proxy, Running) {
    let platform = options.wait_limit(GUARD).start().await.unwrap();
    let proxy = Proxy::start(platform.address()).await.unwrap();
    let host = Running::start(change(through(&platform, &proxy)).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    (platform, proxy, host)
}

/// A builder that connects to `entity` through the proxy, with all tools.
fn through(entity: &ConnectedEntity, proxy: &Proxy) -> Platools {
    builder(entity).url(proxy.url(&entity.url()))
}

/// A platform whose waits are long enough for a loaded machine.
async fn patient() -> DevPlatform {
    DevPlatformOptions::new().wait_limit(GUARD).start().await.unwrap()
}

/// The host answers, whatever happened before.
async fn works(platform: &DevPlatform) {
    assert_eq!(answer(platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

/// Waits for an event of the host.
async fn told(events: &mut HostEvents, mut wish: impl FnMut(&HostEvent) -> bool) -> HostEvent {
    let waiting = async {
        loop {
            let event = events.next().await.expect("the host lives");
            if wish(&event) {
                return event;
            }
        }
    };
    timeout(GUARD, waiting).await.expect("in time")
}

/// Waits for the next answer that the platform did not expect, and returns its frame.
async fn unexpected(events: &mut Events) -> Value {
    let waiting = async {
        loop {
            if let Event::UnexpectedAnswer { frame, .. } = events.next().await.expect("the platform lives") {
                return serde_json::from_str(&frame).unwrap();
            }
        }
    };
    timeout(GUARD, waiting).await.expect("in time")
}

/// A call's frame as the platform signs it, under an id of choice.
fn signed(entity: &ConnectedEntity, call_id: &str, tool: &str, arguments: &Value) -> String {
    static NONCES: AtomicU64 = AtomicU64::new(0);
    let nonce = format!("{:032x}", NONCES.fetch_add(1, Ordering::Relaxed));
    let timestamp = format!("{:.3}", jiff::Timestamp::now());
    let arguments = platform::signed_arguments(&arguments.to_string(), None);
    let key = SigningKey::new(&entity.secret());
    let mut envelope = Envelope::from(entity.scope());
    envelope.user_id = Some("user".to_owned());
    envelope.agent_id = Some("agent".to_owned());
    envelope.thread_id = Some(String::new());
    envelope.call_id = Some(call_id.to_owned());
    envelope.signature = Some(key.sign_call(&timestamp, Some(&nonce), tool, &arguments));
    envelope.timestamp = Some(timestamp);
    envelope.nonce = Some(nonce);
    platform::tool_call(call_id, tool, &arguments, &envelope)
}
