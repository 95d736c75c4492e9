//! `connect`: the host.

use platools::{Error, Platools};

use super::Failure;

pub(super) async fn run(platools: Platools) -> Result<(), Failure> {
    match platools.run().await {
        Ok(()) => Ok(()),
        Err(Error::Host(error)) => Err(Failure::Failed(error.to_string())),
        Err(error) => Err(Failure::of_build(&error)),
    }
}
