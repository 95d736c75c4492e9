//! A running sidecar: hosts that are connected, listeners, and a file that may change.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `file` | the configuration file: read, watched |
//! | `reader` | who reads it again, beside everything else |
//! | `host` | one entity: its connection |
//! | `tools` | the tools of one table: those of the file and those of MCP servers |
//! | `upstreams` | the MCP servers |
//! | `documents` | the documents that servers have: fetched, asked for again, remembered |
//! | `local` | the tools in this process, without a platform |
//! | `fleet` | all entities; from one plan to the next without losing a call |
//! | `daemon` | everything together, from start to end |
//! | `view`, `admin` | what can be seen of it, and the listener that shows it |
//! | `sessions` | the listener that hands out session tokens |
//! | `callbacks` | the listeners at which the platform calls over HTTP |
//! | `listener` | the server loop of all listeners, whose routers may change |
//! | `service` | the service manager: ready, reloading, alive |
//! | `signals` | the ends and the reloads that are asked for |
//! | `logs` | lines for people, or JSON |

mod admin;
mod callbacks;
mod daemon;
mod documents;
mod file;
mod fleet;
mod host;
mod listener;
mod local;
mod logs;
mod reader;
mod service;
mod sessions;
mod signals;
mod tools;
mod upstreams;
mod view;

pub use self::daemon::{SidecarError, run};
pub(crate) use self::file::{Anew, ConfigFile, folder_of, read as read_config};
pub(crate) use self::fleet::open_state_dir;
pub use self::local::Local;
pub(crate) use self::logs::init_with as init_logging;
pub(crate) use self::reader::checked;
use self::upstreams::Upstreams;
