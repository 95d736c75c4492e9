//! What the double says instead of what it would say.

use std::time::Duration;

use serde_json::{Value, json};

/// An answer to one request.
///
/// ```
/// use std::time::Duration;
/// use platos_client::testing::CannedAnswer;
///
/// let busy = CannedAnswer::status(429).message("slow down").header("retry-after", "2");
/// let proxy = CannedAnswer::status(502).html("<html>bad gateway</html>");
/// let late = CannedAnswer::status(200).delay(Duration::from_secs(60));
/// # let _ = (busy, proxy, late);
/// ```
#[derive(Debug, Clone)]
pub struct CannedAnswer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) delay: Duration,
    pub(super) drop: bool,
    pub(super) after: bool,
}

impl CannedAnswer {
    /// A status, with an empty body.
    pub fn status(status: u16) -> Self {
        let none = (Vec::new(), String::new());
        Self { status, headers: none.0, body: none.1, delay: Duration::ZERO, drop: false, after: false }
    }

    /// No answer: the connection is closed.
    pub fn drop_connection() -> Self {
        Self { drop: true, ..Self::status(500) }
    }

    /// The request is carried out first, as if there were no canned answer; only then this one is sent.
    pub fn after_doing_it(mut self) -> Self {
        self.after = true;
        self
    }

    /// A JSON body with a `message`.
    pub fn message(self, message: &str) -> Self {
        self.json(&json!({"message": message}))
    }

    /// A JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    /// A page.
    pub fn html(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", "text/html")
    }

    /// A header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before the answer.
    pub fn delay(mut self, time: Duration) -> Self {
        self.delay = time;
        self
    }
}

/// How a socket is received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Greeting {
    /// As usual.
    Welcome,
    /// The upgrade is answered with HTTP.
    Http(CannedAnswer),
    /// The namespace is refused, with what a connect error carries.
    ConnectError(Value),
    /// The namespace is connected; then an `error` event with this message, and a disconnect: as a platform does that
    /// looks at the token late.
    ErrorThenDisconnect(String),
    /// As usual, but the session is over when the first event comes.
    WelcomeAndRevoke,
    /// The namespace is never connected.
    Silence,
    /// The connection is closed before it opens.
    Drop,
}
