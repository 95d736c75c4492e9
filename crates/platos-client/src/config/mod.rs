//! How a client is set up: where the platform is, who is asking, and how patient to be.
//!
//! This room must not know HTTP or sockets; it ends with a checked [`Config`].

mod backoff;
mod builder;
mod environment;
mod limits;
mod scope;
mod secret;
mod url;

pub(crate) use backoff::Backoff;
pub use backoff::RetryPolicy;
pub use builder::{ClientBuilder, Direct, NoMode, Session};
pub(crate) use builder::{Config, Mode};
pub use limits::{ReconnectPolicy, StreamLimits};
pub use scope::Scope;
pub(crate) use scope::check_scope;
pub(crate) use url::BaseUrl;

pub use self::secret::RefreshRequest;
pub(crate) use self::secret::{RefreshFn, Refresher, Secret, check_header};
