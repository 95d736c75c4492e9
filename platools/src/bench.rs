//! Internals for the project's own benchmarks (feature `__bench`). Not part of the public API; may change in any
//! release.

pub use crate::run::bench::Lookup;
pub use crate::verify::bench::{Nonces, is_genuine};
