//! How a client is set up: the key, where Plato is, where desktops are, and for how long is waited.
//!
//! This room reads texts and checks them. It must not know requests, sessions or anything that dials.

mod base_url;
mod desktop_url;
mod error;
mod retries;
mod settings;

pub(crate) use self::base_url::{base_url, is_production};
pub(crate) use self::desktop_url::DesktopUrl;
pub use self::error::ConfigError;
pub use self::retries::Retries;
pub use self::settings::PlatoBuilder;
pub(crate) use self::settings::Settings;
