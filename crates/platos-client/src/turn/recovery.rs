//! The reply to a turn that broke off, looked for among the thread's messages.
//!
//! A platform sends the events of a turn to the connection that the message came over, and to no other. It does not stop
//! the turn when that breaks: the reply is stored, and can be read. There is no route that tells whether a turn goes on,
//! so that messages are asked for now and then until the reply is there, or the time is over.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::client::PlatosClient;
use crate::error::{Error, TurnState};
use crate::http::{Call, check_id};
use crate::model::{Message, Role};

/// How many messages are asked for at once; no platform gives more.
const PAGE: usize = 100;

/// How many requests one look takes at most.
const PAGES: usize = 3;

/// How many of the last messages of a long thread are looked at.
const TAIL: usize = 50;

/// The clocks of a platform's parts are that close to each other.
const CLOCKS: Duration = Duration::from_secs(2);

/// How often in a row the platform may fail to answer.
const FAILURES: u32 = 3;

/// How often a message may be missing before it counts as one that never arrived.
const MISSING: u32 = 4;

/// Which turn's reply is looked for.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    pub(super) thread_id: String,
    /// What was said; `None` for whatever was said last.
    pub(super) text: Option<String>,
    /// The id of the thread's last message before, where it is known.
    pub(super) before: Option<String>,
}

/// Why a reply has to be looked for, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// When the message may have been sent first.
    pub(super) sent: Instant,
    /// How long to look.
    pub(super) limit: Duration,
    /// Nothing else is tried any more: if the platform cannot be asked for a while, that is the end.
    pub(super) only_hope: bool,
    /// The message had arrived before, so that the thread's last message may well be the reply.
    pub(super) arrived: bool,
}

/// A reply that was found.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) messages: Vec<Message>,
}

impl Reply {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let texts = self.messages.iter().filter_map(|message| message.content.as_deref());
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

/// What the messages say.
#[derive(Debug)]
enum Found {
    Reply(Reply),
    Unanswered,
    Missing,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) struct NotFound {
    pub(super) state: TurnState,
    /// Why the platform could not be asked, where it could not.
    pub(super) problem: Option<Error>,
}

/// Looks for the reply as soon as there is a need.
pub(super) async fn search(
    client: PlatosClient,
    sought: Sought,
    mut need: watch::Receiver<Option<Need>>,
) -> Result<Reply, NotFound> {
    let (mut offset, mut tally) = (0, Tally::default());
    loop {
        let now = *need.borrow_and_update();
        let Some(now) = now else {
            // Nothing was lost, or not yet.
            if need.changed().await.is_err() {
                // The turn is over, and nobody waits for this any more.
                return std::future::pending().await;
            }
            tally = Tally::default();
            continue;
        };
        match look(&client, &sought, now, &mut offset).await {
            Ok(Found::Reply(reply)) => return Ok(reply),
            Ok(found) => tally.found(&found),
            Err(error) => {
                tally.failures += 1;
                let is_final = !error.is_transient() || (now.only_hope && tally.failures >= FAILURES);
                tally.outcome.problem = Some(error);
                if is_final {
                    return Err(tally.outcome);
                }
            }
        }
        let wait = client.shared.config.limits.poll;
        if tally.missing >= MISSING || tally.began.elapsed() + wait > now.limit {
            return Err(tally.outcome);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = need.changed() => {}
        }
    }
}

/// What came of the looks so far.
struct Tally {
    began: Instant,
    missing: u32,
    /// How often in a row the platform could not be asked.
    failures: u32,
    outcome: NotFound,
}

impl Default for Tally {
    fn default() -> Self {
        let outcome = NotFound { state: TurnState::Unknown, problem: None };
        Self { began: Instant::now(), missing: 0, failures: 0, outcome }
    }
}

impl Tally {
    fn found(&mut self, found: &Found) {
        let state = if matches!(found, Found::Missing) {
            self.missing += 1;
            TurnState::NotStarted
        } else {
            TurnState::Unanswered
        };
        self.failures = 0;
        self.outcome = NotFound { state, problem: None };
    }
}

/// Looks once. `offset` is from which message on.
async fn look(
    client: &PlatosClient,
    sought: &Sought,
    need: Need,
    offset: &mut usize,
) -> Result<Found, Error> {
    for _ in 0..PAGES {
        let call = Call::get(&["threads", check_id("thread id", &sought.thread_id)?, "messages"]);
        let call = call.query("limit", Some(PAGE)).query("offset", (*offset > 0).then_some(*offset));
        let answer = client.send(call).await?;
        let messages: Vec<Message> = answer.list("messages")?;
        let total = answer.value()?["total"].as_u64().and_then(|total| usize::try_from(total).ok());
        let end = *offset + messages.len();
        if let Some(total) = total.filter(|total| *total > end && !messages.is_empty()) {
            // The last ones are wanted. Messages are never taken away, so that this goes on.
            *offset = total.saturating_sub(TAIL).max(*offset + 1);
            continue;
        }
        let began = answer.date.and_then(|now| now.checked_sub(need.sent.elapsed() + CLOCKS));
        let before = sought.before.as_ref().filter(|_| !need.arrived);
        return Ok(find(&messages, sought.text.as_deref(), before, began));
    }
    // The thread grows faster than it is read.
    Ok(Found::Unanswered)
}

/// Finds the user's message and what follows it. `began` is when it was sent at the earliest, by the platform's clock.
fn find(
    messages: &[Message],
    text: Option<&str>,
    before: Option<&String>,
    began: Option<SystemTime>,
) -> Found {
    let is_user = |message: &Message| message.role == Some(Role::User) && before != Some(&message.id);
    // Whether it was created after the message was sent, if anybody knows.
    let is_later = |message: &Message| {
        let created = message.created_at.as_deref()?.parse::<jiff::Timestamp>().ok()?;
        Some(SystemTime::from(created) >= began?)
    };
    let at = match text {
        None => messages.iter().rposition(is_user),
        Some(text) => {
            let same = messages.iter().rposition(|message| {
                is_user(message)
                    && message.content.as_deref() == Some(text)
                    && is_later(message) != Some(false)
            });
            // A platform may have written it down otherwise.
            same.or_else(|| {
                messages.iter().rposition(|message| is_user(message) && is_later(message) == Some(true))
            })
        }
    };
    let Some(at) = at else { return Found::Missing };
    let of_turn = messages[at + 1..].iter().take_while(|message| message.role != Some(Role::User));
    let replies: Vec<_> = of_turn.filter(|message| message.role == Some(Role::Assistant)).cloned().collect();
    if replies.is_empty() { Found::Unanswered } else { Found::Reply(Reply { messages: replies }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
    }

    /// Messages as `role text second`.
    fn messages(lines: &[(&str, &str, u64)]) -> Vec<Message> {
        let message = |(role, text, second): &(&str, &str, u64)| {
            let created = jiff::Timestamp::try_from(at(*second)).unwrap().to_string();
            let id = format!("m{second}");
            let message = json!({"id": id, "role": role, "content": text, "createdAt": created});
            serde_json::from_value(message).unwrap()
        };
        lines.iter().map(message).collect()
    }

    fn found(lines: &[(&str, &str, u64)], text: Option<&str>, began: Option<u64>) -> String {
        match find(&messages(lines), text, Some(&"m3".to_owned()), began.map(at)) {
            Found::Reply(reply) => reply.text(),
            Found::Unanswered => "unanswered".to_owned(),
            Found::Missing => "missing".to_owned(),
        }
    }

    #[test]
    fn the_reply_is_that_to_the_message_and_not_to_an_earlier_one_of_the_same_text() {
        let earlier = ("user", "yes", 1);
        let before = [earlier, ("assistant", "first", 2)];
        let more = |lines: &[_]| [&before, lines].concat();
        assert_eq!(found(&before, Some("yes"), Some(10)), "missing");
        assert_eq!(found(&more(&[("user", "yes", 11)]), Some("yes"), Some(10)), "unanswered");
        let both = more(&[("user", "yes", 11), ("tool", "x", 12), ("assistant", "second", 12)]);
        assert_eq!(found(&both, Some("yes"), Some(10)), "second");
        let longer = [both.clone(), vec![("assistant", "part", 13), ("user", "no", 14)]].concat();
        assert_eq!(found(&longer, Some("yes"), Some(10)), "second\n\npart");
        // Without clocks, it is the last one of that text.
        assert_eq!(found(&both, Some("yes"), None), "second");
        // Written down otherwise.
        assert_eq!(found(&both, Some(" yes "), Some(10)), "second");
        assert_eq!(found(&both, Some(" yes "), None), "missing");
        // The last one before is known.
        assert_eq!(found(&[("user", "yes", 3), ("assistant", "old", 3)], Some("yes"), Some(2)), "missing");
        assert_eq!(found(&both, None, None), "second");
        assert_eq!(found(&[], None, None), "missing");
    }
}
