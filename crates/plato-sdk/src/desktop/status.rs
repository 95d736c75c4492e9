//! How a desktop's agent says it is (plato-api §8.1).

use serde::Deserialize;

use super::Size;

/// The status of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DesktopStatus {
    /// Its word for being up, such as `ready` or `ok`; agents differ.
    pub status: String,
    /// The display, such as `:0`, or the platform where the agent says that instead.
    pub display: String,
    /// The screen's size, if it says it.
    pub resolution: Option<Size>,
}

#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    display: Option<String>,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default)]
    resolution: Option<WireSize>,
}

#[derive(Deserialize)]
struct WireSize {
    width: u32,
    height: u32,
}

impl From<Wire> for DesktopStatus {
    fn from(wire: Wire) -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            status: wire.status.unwrap_or_else(unknown),
            display: wire.display.or(wire.platform).unwrap_or_else(unknown),
            resolution: wire
                .resolution
                .map(|size| Size::new(size.width, size.height))
                .filter(|size| size.width > 0 && size.height > 0),
        }
    }
}
