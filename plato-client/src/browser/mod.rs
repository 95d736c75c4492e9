//! The browser on a desktop: logging in to the apps of a session (plato-api §9), over Chrome's `DevTools`.
//!
//! This room knows pages, selectors and steps. It must not know how a session is kept, nor anything of tools.

mod flow;

pub use self::flow::{Flow, Step, StepKind};
