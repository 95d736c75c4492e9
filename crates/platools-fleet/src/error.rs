//! Errors of joining a fleet, and of asking or draining its members.

/// An error of a fleet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No fleet is configured.
    #[error("PLATOOLS_FLEET is not set: name the NATS server of the fleet, such as nats://127.0.0.1:4222")]
    Missing,
    /// A setting is invalid.
    #[error("{setting} {problem}")]
    Setting {
        /// The variable, or the setting.
        setting: &'static str,
        /// Why the setting is invalid, and how to write it.
        problem: String,
    },
    /// NATS cannot be used.
    #[error(
        "the NATS server of the fleet cannot be used: {problem}. Check PLATOOLS_FLEET and its credentials, or set \
         PLATOOLS_FLEET_OPTIONAL=true to start without it and wait"
    )]
    Connect {
        /// The problem.
        problem: String,
    },
    /// NATS has no JetStream.
    #[error(
        "the NATS server of the fleet keeps no state: {problem}. Start it with JetStream (`nats-server --jetstream`), \
         and allow this account to use it"
    )]
    Store {
        /// The problem.
        problem: String,
    },
    /// The service secret cannot be loaded.
    #[error("the service secret, from which the keys of the fleet are derived, cannot be loaded: {0}")]
    Secret(#[from] platools::verify::SecretError),
    /// The operating system has no randomness to give.
    #[error("the operating system has no randomness to give, without which no message can be encrypted")]
    NoRandomness,
    /// The fleet has no gateway at the moment.
    #[error("the fleet has no gateway at the moment: no member has the lease; is one running?")]
    NoGateway,
    /// The gateway did not answer.
    #[error("the gateway of the fleet does not answer; try again in a few seconds")]
    NoAnswer,
    /// There is no such member.
    #[error("the fleet has no member {member:?}: its members are {known}")]
    NoMember {
        /// The name or the beginning of an id that the operator gave.
        member: String,
        /// The members that there are.
        known: String,
    },
    /// Several members are called so.
    #[error("the fleet has several members {member:?}: name one by the beginning of its id, of {matching}")]
    SeveralMembers {
        /// The name or the beginning of an id that the operator gave.
        member: String,
        /// Their ids and names.
        matching: String,
    },
    /// A member did not answer.
    #[error("the member {member:?} does not answer, and may not drain; look at the status and try again")]
    SilentMember {
        /// The name of the member.
        member: String,
    },
    /// The NATS server is too old.
    #[error("the NATS server of the fleet has version {version}: it has to be 2.10 or later")]
    Version {
        /// The version.
        version: String,
    },
}

impl From<FleetError> for platools::Error {
    fn from(error: FleetError) -> Self {
        Self::other(error)
    }
}
