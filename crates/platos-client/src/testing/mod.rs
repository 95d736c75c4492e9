//! A scripted agent API with its Socket.IO side, for tests (feature `testing`).
//!
//! [`PlatosDouble`] listens on this machine, keeps what is created in memory, checks credentials and scope, and
//! writes down what it gets. By itself it answers like a small agent; a [`Script`] says what a turn does instead,
//! [`CannedAnswer`] what a request is answered with, [`Greeting`] how a socket is received.
//!
//! ```
//! use platos_client::testing::{PlatosDouble, Script};
//! use platos_client::NewThread;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platos = PlatosDouble::start().await?;
//! let client = platos.client();
//! let thread = client.threads().create(NewThread::with_agent("agt_support")).await?;
//!
//! // The connection breaks, the turn goes on, and its reply is found among the thread's messages.
//! platos.script(Script::new().token("Hello, ").drop_connection().token("world").done());
//! assert_eq!(client.threads().send(&thread.id, "Hi").text().await?, "Hello, world");
//! assert_eq!(platos.messages().len(), 1, "the message went out once");
//! # Ok(())
//! # }
//! ```
//!
//! This room must not know the client, but for [`PlatosDouble::client`] and [`event_of_frame`]: it is the other end of
//! the wire.

mod canned;
mod demo;
mod door;
mod double;
mod frame;
mod player;
mod record;
mod rest;
mod script;
mod socket;
mod store;
mod turns;

pub use canned::{CannedAnswer, Greeting};
pub use double::{DoubleOptions, Generation, PlatosDouble};
pub use frame::event_of_frame;
pub use record::RecordedRequest;
pub use script::Script;
