//! A development platform in your process: the other end of the wire that a tool host speaks.
//!
//! [`DevPlatform`] listens on this machine, authenticates hosts by entity and secret, takes their
//! tools, signs calls and waits for the answers, as Platos does. It is for tests, for trying things out
//! and for developing tools without a deployed platform. It keeps everything in memory, unless it is
//! given a file ([`DevPlatformOptions::identity_file`]) or a folder (`DevPlatformOptions::data_dir`, feature `sqlite`),
//! and is not made to be reachable from other machines.
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
//! Calls are remembered, within limits ([`DevPlatform::history`]).
//!
//! # As unkind as the real server
//!
//! While no host is connected, a call goes to the `callback_url` of the declaration (protocol §6), and fails where there is
//! none. Agents would see the tools only while they can be called: [`ConnectedEntity::visible_tools`].
//!
//! The defaults are kinder than the server where that helps development. [`DevPlatformOptions::as_real_server`] is the
//! server's behaviour in one option; [`Faults::refuse_registrations`] plays the rest.
//!
//! # The playground
//!
//! [`DevPlatform::playground_url`] opens in a browser: who is connected, tools with search, a form made of each
//! tool's schema, the answer with its frames and its signature piece by piece, the history, the host's health, and
//! faults at the push of a button. `cargo run -p platools-dev --example playground` starts a platform for it. The page
//! is part of the crate and sends requests to the platform alone. [`DevPlatformOptions::http`] switches it off, with the API
//! behind it and the history.
//!
//! # The HTTP API
//!
//! It is on the same port. `/api/v1/openapi.json` describes it; `…` is `/api/v1/entities/{entity}/{environment}`.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /api/v1/health`, `GET /api/v1/openapi.json` | the sign of life, the description |
//! | `GET /api/v1/entities`, `GET …` | entities and their connections, one of them |
//! | `GET …/tools`, `GET …/tools/{tool}` | tools, searched and by pages; one with its schemas |
//! | `GET …/health` | heartbeats, and what they told about each tool |
//! | `POST …/calls` | calls a tool; the arguments are sent to the byte |
//! | `POST …/faults` | makes something go wrong |
//! | `GET`, `POST /api/v1/entities/{entity}/secret` | shows the service secret, rotates it |
//! | `POST /api/v1/entities/{entity}/session-tokens` | mints a session token, as the platform's own mint does |
//! | `POST`, `GET /api/v1/page` | opens the playground with a link or the token, tells whether a page is open |
//! | `GET /api/v1/token` | shows the API token |
//! | `GET /api/v1/session` | checks the token in `X-Platos-Session-Token` |
//! | `GET`, `DELETE /api/v1/history`, `GET /api/v1/history/{id}` | the last calls with those that run, one of them |
//! | `GET /api/v1/history/{id}/frames/{sent or reply}` | a frame, whole |
//! | `POST /api/v1/history/{id}/replay` | makes a call again, signed anew or byte for byte |
//! | `POST /api/v1/history/{id}/abandon` | marks a running call as abandoned |
//! | `GET /api/v1/events` | what happens, as server-sent events; resumes at `Last-Event-ID`, or begins with the last ones (`?recent=`) |
//!
//! ```sh
//! curl -sS "$PLAYGROUND/api/v1/entities/local/dev/calls" \
//!   -H "Authorization: Bearer $PLATOOLS_DEV_TOKEN" -H 'Content-Type: application/json' \
//!   -d '{"tool": "add", "arguments": {"a": 1, "b": 2}}'
//! ```
//!
//! Session tokens need the feature `session-tokens`, which is on by default.
//!
//! # Who is let in
//!
//! Programs that listen on the loopback are attacked through the browser, so every request of the HTTP side has to
//! name this platform in `Host` (against names that are pointed here), and must not come from a page of another origin
//! (`Origin`, `Sec-Fetch-Site`). All but the page, its files, the health check, the description and the check of session
//! tokens need the API token besides ([`DevPlatform::api_token`]), which is new with each start unless it is kept, and never
//! goes into a URL, or have to come from a page that was opened with a link. The page runs under a strict content security policy
//! and cannot be framed.
//!
//! Other users of the machine reach the port, too. The page that they get holds no secret and says that the playground
//! opens with a link: [`DevPlatform::playground_url`], which the program that starts the platform prints. Its fragment, which
//! browsers do not send, is a key that works once; the page trades it for a cookie (`HttpOnly`, `SameSite=Strict`,
//! named after the port) and a key of its own. Both are needed: a browser sends cookies to all ports of a host. A browser
//! that lost them, or another one, is let in with another link or with the API token, typed into the page. They end with
//! the platform's process; [`DevPlatform::restart`] keeps them. Without TLS, whoever can listen to the network sees all of
//! it: stay on the loopback, or see [`DevPlatformOptions::tls_pem`].
//!
//! # A folder that outlives it
//!
//! With the feature `sqlite`, `DevPlatformOptions::data_dir` keeps entities with their secrets, and the calls of the
//! history, in a SQLite database, so that a host needs no other secret after each start. The history's limits hold for
//! the file too. It is for this user alone, since secrets and the tokens of calls stand in it in the clear.

mod accept;
mod authenticate;
mod call;
mod callback;
mod calling;
mod connection;
mod data;
mod entity;
mod error;
mod event;
mod faults;
mod handle;
mod health;
mod history;
mod http;
mod journal;
mod key;
#[cfg(feature = "session-tokens")]
mod mint;
mod options;
mod pending;
mod platform;
mod random;
mod registration;
mod shared;
mod state;
mod text;
mod tls;

pub use call::report::{CallFailure, CallReport, CallStage, CallStatus, Outcome, SignatureParts, Transport};
pub use call::tamper::Tamper;
pub use calling::CallBuilder;
pub use entity::ConnectedEntity;
pub use error::DevError;
pub use event::{Counters, Ending, Event};
pub use faults::Faults;
pub use history::HistoryEntry;
pub use journal::Events;
pub use key::EntityKey;
pub use options::DevPlatformOptions;
pub use platform::DevPlatform;

/// Compiles the example of the README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
