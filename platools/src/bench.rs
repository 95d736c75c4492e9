//! What the project's own benchmarks reach behind the public doors, behind the feature `__bench`. Nothing here is for
//! people, and all of it may change in any release.

pub use crate::run::bench::Lookup;
pub use crate::verify::bench::{Nonces, is_genuine};
