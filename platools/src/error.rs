//! What can go wrong before or while a host runs, as one type for `main`.

use std::fmt;

use crate::host::{ConfigError, DeclarationError, HostError};
use crate::tool::RegistryError;

/// A result whose error reads well when `main` returns it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a host did not start, or gave up.
///
/// Its `Debug` is the message for people, since that is what a `main` that returns it prints.
#[non_exhaustive]
pub enum Error {
    /// The configuration is incomplete or wrong.
    Config(ConfigError),
    /// A tool cannot be registered.
    Registry(RegistryError),
    /// A tool asks for state that nobody registered.
    MissingState(MissingState),
    /// The declaration of the tools is too large.
    Declaration(DeclarationError),
    /// The platform refused the connection for good.
    Host(HostError),
}

impl Error {
    fn inner(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Config(error) => error,
            Self::Registry(error) => error,
            Self::MissingState(error) => error,
            Self::Declaration(error) => error,
            Self::Host(error) => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner().source()
    }
}

macro_rules! from {
    ($($variant:ident($source:ty))*) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from! {
    Config(ConfigError)
    Registry(RegistryError)
    MissingState(MissingState)
    Declaration(DeclarationError)
    Host(HostError)
}

/// Tools that ask for state that nobody registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingState(Vec<(String, &'static str)>);

impl MissingState {
    /// Each tool with the type it asks for; at least one.
    pub(crate) fn new(missing: Vec<(String, &'static str)>) -> Self {
        Self(missing)
    }
}

impl fmt::Display for MissingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (tool, type_name)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}tool `{tool}` needs `State<{type_name}>`, which is not registered")?;
        }
        write!(f, ": call `.state(value)` before `.run()`")
    }
}

impl std::error::Error for MissingState {}
