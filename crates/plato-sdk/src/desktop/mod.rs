//! A desktop: a screen, a mouse, a keyboard, a shell and files, through the agent in its machine (plato-api §8).
//!
//! This room knows the agent's four requests and what pictures are. It must not know sessions, nor that a model may
//! be looking.

mod action;
mod agent;
mod bash;
mod computer;
mod cut;
mod edit;
mod geometry;
mod handle;
mod picture;
mod status;

pub use self::action::{Action, ActionRequest, Performed, ScrollDirection};
pub(crate) use self::agent::AgentHttp;
pub use self::bash::{BashOutput, BashRequest};
#[cfg(feature = "tools")]
pub(crate) use self::cut::cut;
pub use self::edit::EditCommand;
pub use self::geometry::{Point, Scaling, Size};
pub use self::handle::Desktop;
pub(crate) use self::handle::devtools_port;
#[cfg(feature = "testing")]
pub(crate) use self::picture::png as write_png;
pub use self::picture::{PictureError, Screenshot};
#[cfg(feature = "tools")]
pub(crate) use self::picture::{jpeg, scaled};
pub use self::status::DesktopStatus;
