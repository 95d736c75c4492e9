//! Failures by order.

use std::time::Duration;

use serde_json::Value;

use super::reply::Reply;

/// A failure that the double shows to the next request of a kind, once unless it is said otherwise.
///
/// ```
/// use plato_sdk::testing::{FakePlato, Fault};
///
/// let fake = FakePlato::start();
/// fake.fail(Fault::on("GET /sessions/*/state").status(429).header("retry-after", "1").times(2));
/// fake.fail(Fault::on("POST /computer").disconnect());
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) method: String,
    pub(super) pattern: Vec<String>,
    pub(super) times: u32,
    pub(super) skip: u32,
    /// Whether the request has its effect before it fails.
    pub(super) after: bool,
    has_status: bool,
    pub(super) effect: Effect,
}

#[derive(Debug, Clone)]
pub(super) enum Effect {
    Answer(Reply),
    Disconnect,
    Hang,
    Delay(Duration),
}

impl Fault {
    /// On requests with a method and a path that ends in these segments; `*` stands for any one.
    ///
    /// # Panics
    /// When `request` is not a method and a path, such as `POST /sessions/make`.
    pub fn on(request: &str) -> Self {
        let (method, path) =
            request.split_once(' ').expect("a method and a path, such as `POST /sessions/make`");
        let pattern = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let effect = Effect::Answer(Reply::status(500));
        Self {
            method: method.to_owned(),
            pattern,
            times: 1,
            skip: 0,
            after: false,
            has_status: false,
            effect,
        }
    }

    /// So many times; `u32::MAX` is always.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Not the first so many times.
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// After the request had its effect: only the answer is lost.
    pub fn after_effect(mut self) -> Self {
        self.after = true;
        self
    }

    /// An answer with this status; 500 is the default.
    pub fn status(mut self, status: u16) -> Self {
        let mut reply = self.reply();
        reply.status = status;
        self.has_status = true;
        self.effect = Effect::Answer(reply);
        self
    }

    /// With this header in the answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let mut reply = self.reply();
        reply.headers.push((name.to_owned(), value.to_owned()));
        self.effect = Effect::Answer(reply);
        self
    }

    /// With this body in the answer, whatever its status.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = self.reply();
        reply.body = body.into();
        self.effect = Effect::Answer(reply);
        self
    }

    /// With this JSON in the answer, whose status is 200 unless it is said.
    pub fn json(self, body: &Value) -> Self {
        let answer = if self.has_status { self } else { self.status(200) };
        answer.header("content-type", "application/json").body(body.to_string())
    }

    /// The connection is cut in the place of an answer.
    pub fn disconnect(mut self) -> Self {
        self.effect = Effect::Disconnect;
        self
    }

    /// There never is an answer.
    pub fn hang(mut self) -> Self {
        self.effect = Effect::Hang;
        self
    }

    /// The answer takes so long.
    pub fn delay(mut self, time: Duration) -> Self {
        self.effect = Effect::Delay(time);
        self
    }

    fn reply(&self) -> Reply {
        match &self.effect {
            Effect::Answer(reply) => reply.clone(),
            _ => Reply::status(200),
        }
    }

    /// Moves the failure to other requests, before or after they have their effect.
    pub fn on_instead(self, request: &str, after: bool) -> Self {
        Self { after, times: 1, skip: 0, effect: self.effect, ..Self::on(request) }
    }

    pub(super) fn matches(&self, method: &str, path: &[&str]) -> bool {
        self.method == method
            && self.pattern.len() <= path.len()
            && self
                .pattern
                .iter()
                .rev()
                .zip(path.iter().rev())
                .all(|(wish, part)| wish == "*" || wish == part)
    }
}
