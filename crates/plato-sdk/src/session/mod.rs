//! A session from its creation to its end (plato-api §6).
//!
//! This room knows how long things live: the thread that keeps sessions, heartbeats, waiting, closing. It must not
//! know how a desktop or a browser is driven, nor anything of tools.

mod core;
mod environment;
mod environments;
mod handle;
mod health;
mod keeper;
mod known;
mod lease;
mod login;
mod names;
mod ready;
mod request;
mod saved;
mod scoring;
mod setup;
mod shared;

pub(crate) use self::core::Core;
pub use self::environment::Environment;
pub use self::environments::AddEnv;
pub use self::handle::Session;
pub use self::health::SessionHealth;
pub use self::ready::{JobProgress, Progress};
pub use self::request::SessionRequest;
pub use self::saved::{SavedEnvironment, SavedSession};
