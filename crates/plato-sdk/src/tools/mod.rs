//! A desktop as tools of a platools host (feature `tools`), with the schemas that computer-use models know.
//!
//! This room knows arguments, answers, and whose desktop a call is for. It must not know how a session is kept, nor
//! how a desktop is reached.

mod answer;
mod bash;
mod budget;
mod computer;
mod edit;
mod failure;
mod lifecycle;
mod options;
mod policy;
mod pool;
mod schema;
mod seat;
mod settings;
mod split;

pub use self::options::{DesktopTools, ToolShape};
pub use self::policy::{SessionPerThread, Sharing};
pub use self::settings::Pictures;
