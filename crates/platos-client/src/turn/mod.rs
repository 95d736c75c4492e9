//! One turn: a message goes out once, and events come in until `done`, or the reply is recovered.
//!
//! `driver` is the task that does it. `link` is one socket and `pump` reads it, `sse` and `blocking` are the other ways;
//! `pass` is where the events of all of them go on, `outlet` the bounded way to whoever reads. `recovery` looks for the
//! reply when a connection broke.

mod blocking;
mod collect;
mod commands;
mod dial;
mod driver;
mod known;
mod link;
mod message;
mod outlet;
mod pass;
mod pump;
mod recovery;
mod refusal;
mod run;
mod sse;
mod stream;
mod threads;

pub use collect::Turn;
pub use message::{NewMessage, Transport};
pub use stream::TurnStream;
pub(crate) use threads::KnownThreads;
