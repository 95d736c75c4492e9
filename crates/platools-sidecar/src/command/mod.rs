//! Programs as tools: never through a shell, with nothing of the sidecar's environment that the file does not name,
//! and gone when the call is over.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `template` | a `[[tool.command]]`: from arguments to a command line |
//! | `run` | a program from its start to its end |
//! | `outcome` | what it left, as a tool's result |

pub(crate) mod outcome;
#[cfg(unix)]
pub(crate) mod run;
pub(crate) mod template;
