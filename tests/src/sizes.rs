//! Calls whose results have any size, from one byte to 8 MiB.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use load::{Answers, Calls, Connection};
use platools::prelude::*;

/// The largest result, in bytes.
pub const LARGEST: usize = 8 << 20;
/// How long the platform waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many bytes, after so many milliseconds.
#[tool(register = false)]
pub async fn large(bytes: usize, later: u64) -> String {
    if later > 0 {
        tokio::time::sleep(Duration::from_millis(later)).await;
    }
    "x".repeat(bytes)
}

/// A size, of which each power of two is as likely. The first are the smallest and the largest.
fn size(number: usize, random: &mut fastrand::Rng) -> usize {
    match number {
        0 => 1,
        1 => LARGEST,
        _ => {
            let least = 1 << random.u32(..=LARGEST.ilog2());
            (least + random.usize(..least)).min(LARGEST)
        }
    }
}

/// Calls [`large`] while `goes_on` says so of the number of calls that were made, with `at_once` calls in flight; reads
/// at once, slowly, or not at all for up to `pause`. Returns when all are answered, or the platform would wait no longer.
///
/// # Errors
/// When the host closed or hung up.
///
/// # Panics
/// When a call is answered twice, or with the result of another one.
pub fn soak(
    connection: &mut Connection,
    mut goes_on: impl FnMut(usize) -> bool,
    at_once: usize,
    pause: Duration,
    random: &mut fastrand::Rng,
) -> io::Result<Answers> {
    // As many as the buffers of the socket hold: a host that is full reads no further calls.
    let at_once = at_once.clamp(1, 1_000);
    let mut answers = Answers::default();
    let mut last = Instant::now();
    loop {
        while answers.unanswered() < at_once && goes_on(answers.calls()) {
            let number = answers.calls();
            let (bytes, later) = (size(number, random), if random.bool() { 0 } else { random.u64(..50) });
            let call = |_| ("large".to_owned(), format!(r#"{{"bytes":{bytes},"later":{later}}}"#));
            connection.send(Calls::each(call, 1, number).frames(0, 1))?;
            answers.expect(bytes);
            last = Instant::now();
        }
        if answers.unanswered() == 0 || last.elapsed() > PATIENCE {
            return Ok(answers);
        }
        if random.u8(..) == 0 {
            thread::sleep(pause.mul_f64(random.f64()));
        }
        answers.read(connection)?;
    }
}

/// The answers that are neither a result nor the error that says that there was no room for it.
pub fn unexplained(answers: &Answers) -> impl Iterator<Item = &String> {
    let explanation = "overloaded: the tool ran, but its result of ";
    answers.errors().iter().filter(move |error| !error.contains(explanation))
}
