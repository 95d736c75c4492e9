//! The platform's side of a connection, for measurements: calls that are signed beforehand, and a socket on which a
//! call and its answer cost as little as possible, so that what is measured is the host.
//!
//! It must not know which host that is, nor what is measured.

mod answers;
mod calls;
mod connection;

pub use self::answers::Answers;
pub use self::calls::{Calls, SECRET, call, push_frame, scope};
pub use self::connection::{Connection, call_number};
