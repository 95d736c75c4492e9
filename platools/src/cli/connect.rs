//! `connect`: the host.

use super::Failure;
use crate::error::Error;
use crate::host::Platools;

pub(super) async fn run(platools: Platools) -> Result<(), Failure> {
    crate::logging::init();
    match platools.run().await {
        Ok(()) => Ok(()),
        Err(Error::Host(error)) => Err(Failure::Failed(error.to_string())),
        Err(error) => Err(Failure::of_build(&error)),
    }
}
