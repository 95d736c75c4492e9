//! The error type of the crate, for `main`: everything that can stop a host.

use std::fmt;

use crate::host::{ConfigError, HostError};
use crate::run::{AccessError, MissingState, TableError};
use crate::tool::{DeclarationError, RegistryError};

/// A `Result` with [`Error`], which prints as a readable message when `main` returns it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason for which a host did not start or stopped.
///
/// `Debug` prints the message too, since a `main` that returns an error prints its `Debug` form.
#[non_exhaustive]
pub enum Error {
    /// The configuration is incomplete or invalid.
    Config(ConfigError),
    /// A tool cannot be registered.
    Registry(RegistryError),
    /// A tool takes state that is not registered.
    MissingState(MissingState),
    /// The host cannot enforce the access rules of a tool.
    Access(AccessError),
    /// The declaration of the tools is too large.
    Declaration(DeclarationError),
    /// The platform rejected the connection permanently, or the host was stopped.
    Host(HostError),
    /// An error of session tokens, of keys, of a crate above this one, or of the program; see [`Error::other`].
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps any error, so that `main` can return it beside the errors of a host.
    ///
    /// ```
    /// fn main_of_a_backend() -> platools::Result<()> {
    ///     let port = "80 80".parse::<u16>().map_err(platools::Error::other)?;
    ///     println!("listening on {port}");
    ///     Ok(())
    /// }
    ///
    /// let error = main_of_a_backend().unwrap_err();
    /// assert_eq!(format!("{error:?}"), "invalid digit found in string");
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    fn inner(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Config(error) => error,
            Self::Registry(error) => error,
            Self::MissingState(error) => error,
            Self::Access(error) => error,
            Self::Declaration(error) => error,
            Self::Host(error) => error,
            Self::Other(error) => &**error,
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
    Access(AccessError)
    Declaration(DeclarationError)
    Host(HostError)
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Registry(error) => error.into(),
            TableError::MissingState(error) => error.into(),
            TableError::Access(error) => error.into(),
            TableError::Declaration(error) => error.into(),
        }
    }
}
