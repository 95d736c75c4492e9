//! A development platform in your process: the other end of the wire that a tool host speaks.
//!
//! [`DevPlatform`] listens on this machine, authenticates hosts by entity and secret, takes their
//! tools, signs calls and waits for the answers, as Platos does. It is for tests, for trying things out
//! and for developing tools without a deployed platform. It keeps everything in memory and is not made
//! to be reachable from other machines.
//!
//! ```
//! use platools_dev::DevPlatform;
//! use serde_json::json;
//! # use std::time::Duration;
//! # use futures_util::{SinkExt, StreamExt};
//! # use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platform = DevPlatform::start().await?;
//!
//! // Any host connects to `platform.url()` with `platform.secret()`.
//! # let mut request = platform.socket_url().into_client_request()?;
//! # request.headers_mut().insert("authorization", format!("Bearer {}", platform.secret().expose()).parse()?);
//! # let (mut host, _) = tokio_tungstenite::connect_async(request).await?;
//! # tokio::spawn(async move {
//! #     let tool = json!({"name": "add", "description": "Adds.", "input_schema": {}, "output_schema": null,
//! #                       "auth": "none", "roles": [], "annotations": {}});
//! #     let declaration = json!({"type": "tool_register", "tools": [tool]});
//! #     host.send(Message::text(declaration.to_string())).await.unwrap();
//! #     while let Some(Ok(message)) = host.next().await {
//! #         let frame: serde_json::Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
//! #         if frame["type"] == "tool_call" {
//! #             let sum = frame["params"]["a"].as_i64().unwrap() + frame["params"]["b"].as_i64().unwrap();
//! #             let answer = json!({"type": "tool_result", "call_id": frame["call_id"], "result": sum});
//! #             host.send(Message::text(answer.to_string())).await.unwrap();
//! #         }
//! #     }
//! # });
//! platform.wait_for_tool("add").await?;
//!
//! let report = platform.call("add", json!({"a": 1, "b": 2})).await?;
//! assert_eq!(report.into_result()?, json!(3));
//! # Ok(())
//! # }
//! ```
//!
//! Besides the default entity there can be more, each in several environments
//! ([`DevPlatformOptions::entity`], [`DevPlatform::entity_in`]). What goes wrong in production can be
//! made to go wrong here ([`ConnectedEntity::faults`], [`CallBuilder::tamper`], [`DevPlatform::restart`]).
//!
//! It is a [`Mint`](platools::Mint) of session tokens, too: `SessionTokens::new(platform)`.

mod accept;
mod authenticate;
mod call;
mod connection;
mod entity;
mod error;
mod event;
mod faults;
mod health;
mod history;
mod http;
mod journal;
mod key;
mod mint;
mod options;
mod pending;
mod platform;
mod random;
mod registration;
mod state;
mod text;
mod tls;

pub use call::{CallBuilder, CallFailure, CallReport, Outcome, SignatureParts, Tamper};
pub use entity::ConnectedEntity;
pub use error::DevError;
pub use event::{Counters, Ending, Event, Events};
pub use faults::Faults;
pub use history::HistoryEntry;
pub use key::EntityKey;
pub use options::DevPlatformOptions;
pub use platform::DevPlatform;
