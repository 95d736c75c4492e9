//! Frames that were changed on their way to a host, among genuine ones, and what the host makes of them.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use load::{Connection, call, call_number, push_frame};
use memchr::memmem::find;
use platools::prelude::*;

/// How many changed frames come before each genuine one.
const PER_GENUINE: usize = 200;
/// More calls than there ever are.
const MOST: usize = 1 << 24;
/// How long the platform waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The numbers of the calls that ran in this process.
static RAN: Mutex<Vec<bool>> = Mutex::new(Vec::new());

/// Say which call this is, and whether it ran before.
#[tool(register = false)]
pub async fn marked(number: u32, mark: u64) -> String {
    let mut ran = RAN.lock().unwrap_or_else(PoisonError::into_inner);
    let at = number as usize;
    // A number that nobody signed is told by its mark.
    if at < MOST {
        let numbers = ran.len().max(at + 1);
        ran.resize(numbers, false);
    }
    let again = if ran.get_mut(at).is_some_and(|ran| std::mem::replace(ran, true)) { "again" } else { "" };
    format!("ran:{number}:{mark};{again}")
}

/// What only the one who signs a call knows to be right for its number.
fn mark(number: usize) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

/// A signed call that has not been sent yet.
fn genuine(number: usize) -> String {
    call("marked", &format!(r#"{{"number":{number},"mark":{}}}"#, mark(number)), number)
}

/// The number of a call that ran.
///
/// # Panics
/// When it ran with other arguments than any that were signed, or ran before.
fn ran(text: &[u8]) -> Option<usize> {
    let said = String::from_utf8_lossy(&text[find(text, b"ran:")? + 4..]).into_owned();
    let (call, again) = said.split_once(';')?;
    let (number, mark_of) = call.split_once(':')?;
    let number: usize = number.parse().ok()?;
    assert!(!again.starts_with("again"), "call {number} RAN TWICE");
    assert_eq!(mark_of, mark(number).to_string(), "WRONGLY ACCEPTED: {}", String::from_utf8_lossy(text));
    Some(number)
}

/// Changes a text in one of the ways in which a careless or hostile peer does. It stays UTF-8: anything else ends a
/// connection, as RFC 6455 demands.
fn changed(text: &str, other: &str, random: &mut fastrand::Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.usize(..bytes.len());
    let length = random.usize(1..=64).min(bytes.len() - at);
    match random.u8(..10) {
        0 => bytes[at] ^= 1 << random.u8(..7),
        1 => bytes[at] = random.u8(..0x80),
        2 => drop(bytes.drain(at..at + length)),
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            // Digits by others, which keeps it JSON.
            bytes[at..].iter_mut().filter(|byte| byte.is_ascii_digit()).take(length).for_each(|digit| {
                *digit = b'0' + random.u8(..10);
            });
        }
        6 => {
            let from = random.usize(..other.len());
            let piece = &other.as_bytes()[from..(from + length).min(other.len())];
            bytes.splice(at..at + length, piece.iter().copied());
        }
        7 => {
            let tokens: [&[u8]; 12] =
                [b"\"", b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"\\u0000", b"\\ud800", b"1e999"];
            bytes.splice(at..at, random.choice(tokens).unwrap_or_default().iter().copied());
        }
        8 => {
            let depth = random.usize(1..4_000);
            bytes.splice(at..at, std::iter::repeat_n(b'[', depth));
        }
        _ => bytes[at..at + length].make_ascii_uppercase(),
    }
    let changed = String::from_utf8_lossy(&bytes).into_owned();
    if changed == text { format!("{text} ,") } else { changed }
}

/// What became of the frames.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many changed frames were sent.
    pub changed: usize,
    /// How many of them ran all the same, each as it was signed and once: what was changed has no meaning.
    pub harmless: usize,
    /// How many genuine calls were answered with their own result, and how long each took.
    pub genuine: Vec<Duration>,
}

/// Sends changed frames with genuine ones among them as long as `goes_on` says so of the number of changed ones. Calls
/// `other` now and then, for more that is to be sent. Returns when all genuine calls are answered.
///
/// # Errors
/// When the host closed or hung up, or left a genuine call without an answer.
///
/// # Panics
/// When a call ran that was not signed, or ran twice.
pub fn send(
    connection: &mut Connection,
    mut goes_on: impl FnMut(usize) -> bool,
    mut other: impl FnMut(&mut Vec<u8>, &str),
    random: &mut fastrand::Rng,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut next, mut has_run) = (0, Vec::new());
    while goes_on(outcome.changed) {
        let mut frames = Vec::new();
        let mut before = genuine(next);
        for _ in 0..PER_GENUINE {
            let text = genuine(next);
            push_frame(&mut frames, &changed(&text, &before, random));
            (before, next) = (text, next + 1);
        }
        outcome.changed += PER_GENUINE;
        let expected = next;
        let text = genuine(expected);
        next += 1;
        push_frame(&mut frames, &text);
        // Again, as it was captured.
        push_frame(&mut frames, &text);
        other(&mut frames, &text);
        has_run.resize(next, false);
        let sent = Instant::now();
        connection.send(&frames)?;
        let mut is_answered = false;
        while !is_answered {
            if sent.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("call {expected} has no answer")));
            }
            connection.receive()?;
            let replies = connection.answers(|text| {
                let Some(number) = ran(text) else { return };
                let has_run = has_run.get_mut(number).expect("a call that was signed");
                if number % (PER_GENUINE + 1) == PER_GENUINE {
                    // A frame that comes again may get the same answer again.
                    let is_own = call_number(&text[..text.len().min(200)]) == Some(number);
                    is_answered |= is_own && number == expected;
                } else {
                    assert!(!std::mem::replace(has_run, true), "call {number} RAN TWICE");
                    outcome.harmless += 1;
                }
            });
            connection.send(&replies)?;
        }
        outcome.genuine.push(sent.elapsed());
    }
    Ok(outcome)
}
