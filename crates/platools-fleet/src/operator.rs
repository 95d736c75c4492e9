//! Asks a fleet how it is, from outside: for the command line.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use platools::HostConfig;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::FleetError;
use crate::config::Config;
use crate::link::{Inbox, Link, Numbered, Outgoing};
use crate::member::{NotDrained, Wire};
use crate::message::MemberId;
use crate::seal::Keys;
use crate::status::FleetStatus;

/// How long the gateway may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// Observes and drains the members of a fleet. It needs the configuration of a member: its platform, entity,
/// environment and secret.
#[derive(Debug)]
pub struct Operator {
    link: Arc<Link>,
    inbox: Inbox,
    messages: async_nats::Subscriber,
    out: mpsc::UnboundedSender<Outgoing<Wire>>,
    /// The number of the latest question: an answer to an earlier one may come late.
    number: u64,
}

impl Operator {
    /// Connects to the NATS server of `fleet`, for the entity and environment of `host`.
    ///
    /// # Errors
    /// When the configuration is incomplete, or NATS cannot be used.
    pub async fn connect(fleet: &crate::Fleet, host: &HostConfig) -> Result<Self, FleetError> {
        let config = Config { optional: false, name: "operator".to_owned(), ..fleet.config.clone() };
        let identity = host.identity().map_err(|error| FleetError::Setting {
            setting: "PLATOS_URL",
            problem: format!("is needed to find the fleet: {error}"),
        })?;
        let source = host.secret.clone().ok_or_else(|| FleetError::Setting {
            setting: "PLATOS_SECRET",
            problem: "is not set: the members of the fleet talk only to those who have their secret"
                .to_owned(),
        })?;
        let me = MemberId::random()?;
        let keys = Arc::new(Keys::new(&identity, &source.load()?));
        let link = Arc::new(Link::connect(&config, &identity, Arc::clone(&keys), me).await?);
        let messages = link.subscribe().await?;
        let (out, outgoing) = mpsc::unbounded_channel();
        let sending = Arc::clone(&link);
        tokio::spawn(async move { sending.send_all(outgoing).await });
        Ok(Self { link, inbox: Inbox::new(keys, me), messages, out, number: 0 })
    }

    async fn gateway(&self) -> Result<MemberId, FleetError> {
        let stored = self.link.look().await.map_err(|_| FleetError::NoAnswer)?;
        let record = match stored {
            Some((_, Some(record))) if !record.ended => record,
            Some((_, None)) => {
                return Err(FleetError::Setting {
                    setting: "PLATOS_SECRET",
                    problem: "is not the secret of the members of this fleet".to_owned(),
                });
            }
            _ => return Err(FleetError::NoGateway),
        };
        Ok(record.holder)
    }

    async fn ask<Q, T>(
        &mut self,
        question: impl Fn(Numbered<Q>) -> Wire,
        content: Q,
        read: impl Fn(Wire) -> Option<Numbered<T>>,
    ) -> Result<T, FleetError> {
        let gateway = self.gateway().await?;
        self.number += 1;
        let number = self.number;
        let _ = self.out.send(Outgoing::Message(gateway, question(Numbered { number, content })));
        let answer = async {
            while let Some(message) = self.messages.next().await {
                let Ok((_, wires)) = self.inbox.open::<Wire>(&message.payload) else { continue };
                let mut answers = wires.into_iter().filter_map(&read);
                if let Some(answer) = answers.find(|answer| answer.number == number) {
                    return Ok(answer.content);
                }
            }
            Err(FleetError::NoAnswer)
        };
        timeout(ANSWER_TIME, answer).await.unwrap_or(Err(FleetError::NoAnswer))
    }

    /// Asks the gateway who the members are and how they are.
    ///
    /// # Errors
    /// When there is no gateway, or it does not answer.
    pub async fn status(&mut self) -> Result<FleetStatus, FleetError> {
        let read = |wire| match wire {
            Wire::Status(status) => Some(status),
            _ => None,
        };
        self.ask(Wire::Ask, (), read).await
    }

    /// Has a member take no further calls, and give the connection away if it has it. `member` is its name or the beginning of
    /// its id. Returns its name when it has heard of it.
    ///
    /// # Errors
    /// When there is no such member or there are several, it does not answer, or there is no gateway.
    pub async fn drain(&mut self, member: &str) -> Result<String, FleetError> {
        let read = |wire| match wire {
            Wire::Drains(drains) => Some(drains),
            _ => None,
        };
        let drained = self.ask(Wire::Drain, member.to_owned(), read).await?;
        let member = member.to_owned();
        drained.map_err(|error| match error {
            NotDrained::Unknown(known) => FleetError::NoMember { member, known },
            NotDrained::Several(matching) => FleetError::SeveralMembers { member, matching },
            NotDrained::Silent(member) => FleetError::SilentMember { member },
        })
    }
}
