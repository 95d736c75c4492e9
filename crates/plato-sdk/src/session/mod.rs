//! A session from its creation to its end (plato-api §6).
//!
//! This room knows how long things live: the thread that keeps sessions, heartbeats, waiting, closing. It must not
//! know what is done on a desktop, nor anything of tools.

mod environment;
mod environments;
mod handle;
mod health;
mod keeper;
mod lease;
mod names;
mod ready;
mod request;
mod saved;
mod scoring;
mod setup;

pub use self::environment::Environment;
pub(crate) use self::environment::Known;
pub use self::environments::AddEnv;
pub use self::handle::Session;
pub use self::health::SessionHealth;
pub(crate) use self::keeper::Keeper;
pub use self::ready::{JobProgress, Progress};
pub use self::request::SessionRequest;
pub use self::saved::{SavedEnvironment, SavedSession};
