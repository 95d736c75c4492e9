//! The state machine of a host's connection. Pure: no clock, no socket.
//!
//! ```text
//!              ┌──────────────── wait over ────────────────┐
//!              ▼                                           │
//! Connecting ─ open ─► Authenticating ─ welcome ─► Active ─┤ ended, after Superseded or not
//!      │                     │                             ▼
//!      └───── ended ─────────┴──────────────► BackingOff / Standby / Fatal
//!
//! from anywhere, on shutdown: Draining ─► Stopped
//! ```

use std::fmt;
use std::time::Duration;

use super::ending::{Ending, Misconfiguration};
use super::{WhenSuperseded, backoff};

/// The state of a host's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostState {
    /// The platform is being dialled.
    Connecting,
    /// The socket is open; the platform has not said `welcome` yet.
    Authenticating,
    /// Connected: calls are answered.
    Active,
    /// Another process took the connection over; running calls are still answered on it.
    Superseded,
    /// The connection was lost; waiting before the next attempt.
    BackingOff,
    /// Another process is connected as this entity and environment; this one waits.
    Standby,
    /// Shutting down: running calls finish, new ones are rejected.
    Draining,
    /// Stopped permanently, for a reason that needs a person.
    Fatal,
    /// Shut down.
    Stopped,
}

impl HostState {
    /// Returns whether the state is final.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Fatal | Self::Stopped)
    }
}

impl HostState {
    /// Returns the name of the state, as used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Authenticating => "authenticating",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::BackingOff => "backing off",
            Self::Standby => "standby",
            Self::Draining => "draining",
            Self::Fatal => "fatal",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An input of the machine.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// The socket is open.
    Opened,
    /// The platform said `welcome`.
    Welcomed,
    /// The connection is stable, which resets the backoff.
    Lasted,
    /// The connection ended, `lasted` after its welcome. `new_secret`: the source now returns a different secret.
    Ended { ending: Ending, new_secret: bool, lasted: Duration },
    /// The platform closes the connection in favour of another process.
    Superseded,
    /// Another process holds the connection.
    StoodBy,
    /// The wait is over.
    WaitOver,
    /// A shutdown was requested.
    Shutdown,
    /// The shutdown is complete.
    Drained,
}

/// The action that follows an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Go on.
    Continue,
    /// Dial at once.
    Dial,
    /// Dial after this time.
    Wait(Duration),
    /// Stop normally.
    Stop,
    /// Stop with an error.
    GiveUp(GiveUp),
}

/// The reason for a permanent failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveUp {
    Misconfigured(Misconfiguration),
    SecretRefused,
    Superseded,
}

/// The state of one host's connection.
#[derive(Debug)]
pub(super) struct Machine {
    state: HostState,
    /// Failed attempts since the last stable connection.
    failures: u32,
    /// How often another host took over since the last long connection.
    superseded: u32,
    /// The duration of the last standby.
    standby: Duration,
    /// Whether a rotated secret was already tried at once since the last welcome.
    rotated: bool,
    when_superseded: WhenSuperseded,
    /// Whether the platform ever sent `welcome`, so that the configuration was valid once.
    was_welcome: bool,
    random: fastrand::Rng,
}

impl Machine {
    pub(super) fn new(when_superseded: WhenSuperseded, random: fastrand::Rng) -> Self {
        let state = HostState::Connecting;
        Self {
            state,
            failures: 0,
            superseded: 0,
            standby: Duration::ZERO,
            rotated: false,
            when_superseded,
            was_welcome: false,
            random,
        }
    }

    pub(super) fn state(&self) -> HostState {
        self.state
    }

    /// The secret was valid at another process: the platform refuses it only if it was rotated.
    pub(super) fn trust_secret(&mut self) {
        self.was_welcome = true;
    }

    pub(super) fn on(&mut self, event: Event) -> Action {
        if self.state.is_final() {
            return Action::Stop;
        }
        let draining = self.state == HostState::Draining;
        match event {
            Event::Opened if !draining => self.go(HostState::Authenticating, Action::Continue),
            Event::Welcomed => {
                self.was_welcome = true;
                self.rotated = false;
                if draining { Action::Continue } else { self.go(HostState::Active, Action::Continue) }
            }
            Event::Lasted => {
                self.failures = 0;
                Action::Continue
            }
            Event::Superseded if !draining => self.go(HostState::Superseded, Action::Continue),
            Event::StoodBy if !draining => self.go(HostState::Standby, Action::Continue),
            Event::WaitOver if !draining => self.go(HostState::Connecting, Action::Dial),
            Event::Shutdown => self.go(HostState::Draining, Action::Continue),
            Event::Drained | Event::Ended { ending: Ending::Drained, .. } => {
                self.go(HostState::Stopped, Action::Stop)
            }
            // Answers may still be waiting: the driver decides whether to reconnect.
            Event::Ended { ending, new_secret, lasted } => match self.after(&ending, new_secret, lasted) {
                (_, Action::Wait(wait)) if draining => Action::Wait(wait),
                (_, Action::Dial) if draining => Action::Dial,
                (state, action) => self.go(state, action),
            },
            Event::Opened | Event::Superseded | Event::StoodBy | Event::WaitOver => Action::Continue,
        }
    }

    fn go(&mut self, state: HostState, action: Action) -> Action {
        self.state = state;
        action
    }

    /// Returns the state and the action after the end of a connection.
    fn after(&mut self, ending: &Ending, new_secret: bool, lasted: Duration) -> (HostState, Action) {
        let random = &mut self.random;
        match ending {
            Ending::Misconfigured(what) => (HostState::Fatal, Action::GiveUp(GiveUp::Misconfigured(*what))),
            Ending::SecretRefused if !self.was_welcome => {
                (HostState::Fatal, Action::GiveUp(GiveUp::SecretRefused))
            }
            Ending::SecretRefused if !new_secret => {
                (HostState::BackingOff, Action::Wait(backoff::after_refusal(random)))
            }
            Ending::UpgradeRefused(_) => {
                (HostState::BackingOff, Action::Wait(backoff::after_refusal(random)))
            }
            // Only once per welcome: a source that returns a different secret each time must not cause a busy loop.
            Ending::SecretRotated if new_secret && !self.rotated => {
                self.rotated = true;
                (HostState::Connecting, Action::Dial)
            }
            Ending::LeadLost => (HostState::Standby, Action::Dial),
            Ending::GoingAway => (HostState::BackingOff, Action::Wait(backoff::after_deploy(random))),
            Ending::Superseded if self.when_superseded == WhenSuperseded::Exit => {
                (HostState::Fatal, Action::GiveUp(GiveUp::Superseded))
            }
            Ending::Superseded if self.when_superseded == WhenSuperseded::StandBy => {
                // The other host stands by for about as long: only a clearly longer connection shows that it is gone.
                if lasted > self.standby * 3 {
                    self.superseded = 0;
                }
                let wait = backoff::standby(self.superseded, random);
                self.superseded = self.superseded.saturating_add(1);
                self.standby = wait;
                (HostState::Standby, Action::Wait(wait))
            }
            Ending::Lost(_)
            | Ending::Closed(_)
            | Ending::Superseded
            | Ending::SecretRotated
            | Ending::SecretRefused
            | Ending::Drained => {
                let wait = backoff::after_failure(self.failures, random);
                self.failures = self.failures.saturating_add(1);
                (HostState::BackingOff, Action::Wait(wait))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn machine() -> Machine {
        with_policy(WhenSuperseded::StandBy)
    }

    fn with_policy(policy: WhenSuperseded) -> Machine {
        Machine::new(policy, fastrand::Rng::with_seed(7))
    }

    fn ended(machine: &mut Machine, ending: Ending, new_secret: bool) -> Action {
        machine.on(Event::Ended { ending, new_secret, lasted: Duration::ZERO })
    }

    fn lost() -> Ending {
        Ending::Lost("reset".to_owned())
    }

    fn welcomed() -> Machine {
        let mut machine = machine();
        machine.on(Event::Opened);
        machine.on(Event::Welcomed);
        machine
    }

    fn wait(action: Action) -> Duration {
        match action {
            Action::Wait(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn connected_means_welcome() {
        let mut machine = machine();
        assert_eq!(machine.state(), HostState::Connecting);
        machine.on(Event::Opened);
        assert_eq!(machine.state(), HostState::Authenticating);
        machine.on(Event::Welcomed);
        assert_eq!(machine.state(), HostState::Active);
    }

    #[test]
    fn an_invalid_secret_is_fatal_only_at_first() {
        let mut first = machine();
        first.on(Event::Opened);
        assert_eq!(ended(&mut first, Ending::SecretRefused, false), Action::GiveUp(GiveUp::SecretRefused));
        assert_eq!(first.state(), HostState::Fatal);

        let mut later = welcomed();
        let slow = wait(ended(&mut later, Ending::SecretRefused, false));
        assert!((30..=60).contains(&slow.as_secs()), "{slow:?}");
        assert!(wait(ended(&mut later, Ending::SecretRefused, true)) <= Duration::from_secs(1));
    }

    #[test]
    fn a_refused_upgrade_is_tried_again_slowly() {
        for mut machine in [machine(), welcomed()] {
            for _ in 0..10 {
                let slow = wait(ended(&mut machine, Ending::UpgradeRefused("403".to_owned()), false));
                assert!((30..=60).contains(&slow.as_secs()), "{slow:?}");
                assert_eq!(machine.state(), HostState::BackingOff);
                machine.on(Event::WaitOver);
            }
        }
    }

    #[test]
    fn a_rotated_secret_is_used_at_once_when_there_is_a_new_one() {
        let mut rotating = welcomed();
        assert_eq!(ended(&mut rotating, Ending::SecretRotated, true), Action::Dial);
        wait(ended(&mut rotating, Ending::SecretRotated, true));
        rotating.on(Event::Welcomed);
        assert_eq!(ended(&mut rotating, Ending::SecretRotated, true), Action::Dial);
        let mut same = welcomed();
        wait(ended(&mut same, Ending::SecretRotated, false));
        assert_eq!(same.state(), HostState::BackingOff);
    }

    #[test]
    fn a_superseded_host_stands_by_longer_and_longer() {
        let mut machine = welcomed();
        let mut bounds = vec![];
        for _ in 0..8 {
            bounds.push(wait(ended(&mut machine, Ending::Superseded, false)).as_secs());
            assert_eq!(machine.state(), HostState::Standby);
            machine.on(Event::WaitOver);
            machine.on(Event::Opened);
            machine.on(Event::Welcomed);
        }
        assert!((30..=60).contains(&bounds[0]) && bounds[3] >= 240 && bounds[7] == 900, "{bounds:?}");
        machine.on(Event::Lasted);
        let turn = |lasted| Event::Ended { ending: Ending::Superseded, new_secret: false, lasted };
        assert_eq!(
            wait(machine.on(turn(Duration::from_secs(1_800)))).as_secs(),
            900,
            "no longer than the other's"
        );
        assert!(wait(machine.on(turn(Duration::from_secs(3_600)))).as_secs() <= 60, "the other one was gone");
    }

    #[test]
    fn a_superseded_host_does_as_its_policy_says() {
        let mut exits = with_policy(WhenSuperseded::Exit);
        assert_eq!(ended(&mut exits, Ending::Superseded, false), Action::GiveUp(GiveUp::Superseded));
        let mut fights = with_policy(WhenSuperseded::TakeOver);
        assert!(wait(ended(&mut fights, Ending::Superseded, false)) <= Duration::from_secs(1));
        assert_eq!(fights.state(), HostState::BackingOff);
    }

    #[test]
    fn only_a_lasting_connection_resets_the_backoff() {
        let longest = |machine: &mut Machine| {
            (0..200).map(|_| wait(ended(&mut machine.probe(), lost(), false))).max().unwrap().as_secs()
        };
        let mut machine = welcomed();
        for _ in 0..6 {
            ended(&mut machine, lost(), false);
            machine.on(Event::WaitOver);
            machine.on(Event::Opened);
            machine.on(Event::Welcomed);
        }
        assert!(longest(&mut machine) > 50, "a welcome alone resets nothing");
        machine.on(Event::Lasted);
        assert!(longest(&mut machine) <= 1);
    }

    impl Machine {
        /// Copies the machine with another random sequence.
        fn probe(&mut self) -> Machine {
            Machine { random: self.random.fork(), ..*self }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Opened,
        Welcomed,
        Lasted,
        Ended(u8, bool),
        Shutdown,
    }

    fn ending(kind: u8) -> Ending {
        match kind % 7 {
            0 => Ending::GoingAway,
            1 => Ending::Superseded,
            2 => Ending::SecretRotated,
            3 => Ending::SecretRefused,
            5 => Ending::UpgradeRefused("403".to_owned()),
            4 => Ending::Misconfigured(Misconfiguration::MissingEntity),
            _ => lost(),
        }
    }

    proptest! {
        #[test]
        fn no_sequence_of_events_spins_or_gets_stuck(
            steps in prop::collection::vec(prop_oneof![
                Just(Step::Opened),
                Just(Step::Welcomed),
                Just(Step::Lasted),
                (any::<u8>(), any::<bool>()).prop_map(|(kind, new)| Step::Ended(kind, new)),
                Just(Step::Shutdown),
            ], 0..60),
        ) {
            let mut machine = machine();
            let mut draining = false;
            for step in steps {
                let action = match step {
                    Step::Opened => machine.on(Event::Opened),
                    Step::Welcomed => machine.on(Event::Welcomed),
                    Step::Lasted => machine.on(Event::Lasted),
                    Step::Ended(kind, new_secret) => ended(&mut machine, ending(kind), new_secret),
                    Step::Shutdown => { draining = true; machine.on(Event::Shutdown) }
                };
                if machine.state().is_final() {
                    break;
                }
                prop_assert!(!draining || machine.state() == HostState::Draining);
                match action {
                    Action::Wait(wait) => {
                        prop_assert!(wait <= Duration::from_secs(900));
                        machine.on(Event::WaitOver);
                    }
                    Action::Stop | Action::GiveUp(_) => prop_assert!(machine.state().is_final()),
                    // Only a new secret is worth an attempt without a wait.
                    Action::Dial => prop_assert!(matches!(step, Step::Ended(kind, true) if kind % 7 == 2)),
                    Action::Continue => {}
                }
            }
            machine.on(Event::Drained);
            prop_assert!(machine.state().is_final());
        }
    }
}
