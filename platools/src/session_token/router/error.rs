//! Settings of the endpoint that cannot be used.

/// A setting of the endpoint that cannot be used. The text quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The text is not an origin.
    #[error(
        "`{origin}` is not an origin: write scheme and host, such as \"https://app.example\", in lower case, with the \
         port if it is not the default, and without a path"
    )]
    Origin {
        /// The text.
        origin: String,
    },
    /// The text is not the name of a header.
    #[error("`{name}` is not the name of a header: write one such as \"x-csrf-token\"")]
    Header {
        /// The text.
        name: String,
    },
    /// The text is not a path.
    #[error(
        "`{path}` is not a path: begin it with a slash, use letters, digits and `-._~!$&'()+,;=@%` only, and begin no \
         segment with a colon"
    )]
    Path {
        /// The text.
        path: String,
    },
    /// The text is not an address or a network.
    #[error("`{network}` is not a network: write an address, or a network such as \"10.0.0.0/8\"")]
    Proxy {
        /// The text.
        network: String,
    },
}
