//! One turn: a message goes out once, and events come in until `done`, over as many connections as it takes.
//!
//! `driver` is the task that does it, `link` one connection, `seam` where two connections meet, `outlet` the
//! bounded way to whoever reads. This room must not know REST, but for the approvals that `run` resolves.

mod collect;
mod dial;
mod driver;
mod link;
mod message;
mod outlet;
mod pump;
mod refusal;
mod run;
mod seam;
mod stream;

pub use collect::Turn;
pub use message::NewMessage;
pub use stream::TurnStream;
