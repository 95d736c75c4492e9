//! A double of Plato for tests (feature `testing`): the control plane, and machines with a screen, files and scripted
//! commands.
//!
//! [`FakePlato`] listens on this machine, on a thread of its own, so that it answers also while a test blocks its
//! runtime. What it answers is what the Python SDK accepts; what the real Plato would say beyond that is not known to
//! it. This room must not know the client: it is the other end of the wire.

mod agent;
mod app;
mod catalogue;
mod chrome;
mod control;
mod edit;
mod fault;
mod jobs;
mod machine;
mod make;
mod plato;
mod record;
mod reply;
mod score;
mod script;
mod server;
mod shell;
mod testcase;
mod world;

pub use self::fault::Fault;
pub use self::plato::{FakePlato, FakePlatoBuilder};
pub use self::record::RecordedRequest;
pub use self::script::BashReply;
pub use self::testcase::FakeTestcase;
pub use self::world::{Boot, SessionEnd};
