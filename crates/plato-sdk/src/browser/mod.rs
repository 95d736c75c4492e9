//! The browser on a desktop, or one that is given: logging in to the apps of a session (plato-api §9), over Chrome's
//! `DevTools`.
//!
//! A client of the few commands that this needs. The crates for `DevTools` start browsers of their own and bring
//! hundreds of generated types; here the browser is there already, and nine commands are enough.
//!
//! This room knows pages, selectors and steps. It must not know how a session is kept, nor anything of tools.

mod cdp;
mod chrome;
mod connect;
mod login;
mod page;
mod selector;
mod step;

pub use self::connect::Browser;
pub(crate) use self::login::{App, LOGIN, log_in_on, log_in_with, prepare_desktop};
pub use self::login::{Login, LoginOptions};
