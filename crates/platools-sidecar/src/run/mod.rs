//! A running sidecar: hosts that are connected, listeners, and a file that may change.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `file` | the configuration file: read, watched |
//! | `reader` | who reads it again, beside everything else |
//! | `host` | one entity: its connection and the tools it has |
//! | `upstreams` | the MCP servers, and the entities that have their tools |
//! | `fleet` | all entities; from one plan to the next without losing a call |
//! | `daemon` | everything together, from start to end |
//! | `view`, `admin` | what can be seen of it, and the listener that shows it |
//! | `sessions` | the listener that hands out session tokens |
//! | `callbacks` | the listeners at which the platform calls over HTTP |
//! | `listening` | a listener whose router may change |
//! | `service` | the service manager: ready, reloading, alive |
//! | `signals` | the ends and the reloads that are asked for |
//! | `logs` | lines for people, or JSON |

mod admin;
mod callbacks;
mod daemon;
mod file;
mod fleet;
mod host;
mod listening;
mod logs;
mod reader;
mod service;
mod sessions;
mod signals;
mod upstreams;
mod view;

pub use self::daemon::{SidecarError, run};
pub(crate) use self::file::ConfigFile;
pub(crate) use self::fleet::check as check_hosts;
pub(crate) use self::logs::init_with as init_logging;
pub(crate) use self::upstreams::Upstreams;
