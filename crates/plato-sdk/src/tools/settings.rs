//! The options that all tools of a set share.

use std::time::Duration;

/// When a model gets a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pictures {
    /// After every action.
    #[default]
    Always,
    /// When it asks for a screenshot.
    OnRequest,
}

/// How tools answer.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) pictures: Pictures,
    /// The most bytes that a result may have as JSON.
    pub(super) budget: usize,
    /// The most time that a command, or a pause, may take.
    pub(super) longest: Duration,
}
