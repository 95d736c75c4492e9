//! Bodies of requests and answers, read within bounds: so many bytes, within a time, and not too slowly.
//!
//! A body is read before anybody has verified it, so the memory and time that it takes are bounded. This module must not
//! know what a body says.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::Buf as _;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use tokio::time::{Instant, timeout_at};

use crate::innermost_reason;

/// How long a body may take, unless [`BodyLimits::time`] says otherwise.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// The longest time that counts, since a deadline has to be a time that the clock knows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The bounds of one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    bytes: usize,
    time: Duration,
    rate: Option<Rate>,
}

/// How slowly a body may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    bytes_per_second: usize,
    grace: Duration,
}

/// The reason why a body was not read. Its text goes on after a colon, and holds no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is too long, or announces that it will be.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// It took too long, or came too slowly.
    #[error("it took too long")]
    TooSlow,
    /// It ended before its end, for this reason.
    #[error("{0}")]
    Broken(String),
}

impl BodyLimits {
    /// At most `bytes`, within [`BODY_TIME`].
    pub fn new(bytes: usize) -> Self {
        Self { bytes, time: BODY_TIME, rate: None }
    }

    /// Sets how long the whole body may take.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the rate at which the body has to come once `grace` has passed: so nobody keeps what has come for long
    /// by sending a byte from time to time.
    #[must_use]
    pub fn minimum_rate(mut self, bytes_per_second: usize, grace: Duration) -> Self {
        self.rate = Some(Rate { bytes_per_second: bytes_per_second.max(1), grace });
        self
    }

    /// Checks the length that the headers of a request announce, where they do.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when the body would be refused for it.
    pub fn check_announced(&self, headers: &HeaderMap) -> Result<(), BodyError> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        self.check(announced.unwrap_or(0))
    }

    /// Reads the body of a request, unless its headers announce too much.
    ///
    /// # Errors
    /// When the body exceeds a bound, or the connection breaks.
    pub async fn read_request<B>(&self, headers: &HeaderMap, body: B) -> Result<Vec<u8>, BodyError>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.check_announced(headers)?;
        self.read(body).await
    }

    /// Reads a body. What has announced itself as too long need not come first.
    ///
    /// # Errors
    /// When the body exceeds a bound, or the connection breaks.
    pub async fn read<B>(&self, body: B) -> Result<Vec<u8>, BodyError>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut bytes = Vec::new();
        let take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<_, BodyError>(())
        };
        self.read_pieces(body, take).await?;
        Ok(bytes)
    }

    /// Hands a body to `take`, piece by piece as it comes.
    ///
    /// # Errors
    /// When the body is too large, too slow or broken, as for [`read`](Self::read); and the error of `take`, after which
    /// nothing more of the body is read.
    pub async fn read_pieces<B, E>(
        &self,
        body: B,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: From<BodyError>,
    {
        self.check(body.size_hint().lower())?;
        let began = Instant::now();
        let mut body = pin!(body);
        let mut received = 0;
        loop {
            let next = poll_fn(|context| body.as_mut().poll_frame(context));
            let next = timeout_at(began + self.time_for(received), next).await;
            let Some(frame) = next.map_err(|_elapsed| BodyError::TooSlow)? else { return Ok(()) };
            // Anything else is a trailer, which nobody asks for.
            let Ok(mut data) = frame.map_err(|error| broken(error.into()))?.into_data() else { continue };
            if data.remaining() > self.bytes - received {
                return Err(BodyError::TooLarge { limit: self.bytes }.into());
            }
            received += data.remaining();
            while data.has_remaining() {
                let piece = data.chunk();
                let length = piece.len();
                take(piece)?;
                data.advance(length);
            }
        }
    }

    fn check(&self, announced: u64) -> Result<(), BodyError> {
        if announced > self.bytes as u64 { Err(BodyError::TooLarge { limit: self.bytes }) } else { Ok(()) }
    }

    /// The time from the beginning at which more than `received` bytes have to be there.
    fn time_for(&self, received: usize) -> Duration {
        let at_rate = self.rate.map_or(LONGEST, |Rate { bytes_per_second, grace }| {
            grace.saturating_add(Duration::from_secs_f64(received as f64 / bytes_per_second as f64))
        });
        at_rate.min(self.time).min(LONGEST)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this")]
fn broken(error: Box<dyn Error + Send + Sync>) -> BodyError {
    // A client has times of its own.
    #[cfg(feature = "http-client")]
    if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) {
        return BodyError::TooSlow;
    }
    BodyError::Broken(innermost_reason(&*error))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http::HeaderValue;
    use http_body::{Frame, SizeHint};

    use super::*;

    /// Pieces, and then the end, an error, or nothing more.
    struct Scripted {
        pieces: Vec<&'static [u8]>,
        then: Then,
        announced: u64,
    }

    #[derive(Clone, Copy)]
    enum Then {
        Ends,
        Breaks,
        Hangs,
    }

    impl Scripted {
        fn new(pieces: &[&'static [u8]], then: Then) -> Self {
            Self { pieces: pieces.iter().rev().copied().collect(), then, announced: 0 }
        }
    }

    impl Body for Scripted {
        type Data = &'static [u8];
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, io::Error>>> {
            match (self.pieces.pop(), self.then) {
                (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                (None, Then::Ends) => Poll::Ready(None),
                (None, Then::Breaks) => {
                    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
                    Poll::Ready(Some(Err(broken)))
                }
                (None, Then::Hangs) => Poll::Pending,
            }
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(self.announced);
            hint
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_not_a_byte_further() {
        let limits = BodyLimits::new(6);
        let too_large = Err(BodyError::TooLarge { limit: 6 });
        let read = async |pieces: &[&'static [u8]]| limits.read(Scripted::new(pieces, Then::Ends)).await;
        assert_eq!(read(&[]).await, Ok(Vec::new()));
        assert_eq!(read(&[b"abc", b"", b"def"]).await.unwrap(), b"abcdef");
        assert_eq!(read(&[b"abc", b"defg"]).await, too_large);
        assert_eq!(limits.read(Scripted::new(&[b"abcdefg"], Then::Hangs)).await, too_large);
        let broken = limits.read(Scripted::new(&[b"abc"], Then::Breaks)).await.unwrap_err();
        assert_eq!(broken, BodyError::Broken("connection reset".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_announces_too_much_is_refused_before_it_comes() {
        let limits = BodyLimits::new(6);
        let too_large = Err(BodyError::TooLarge { limit: 6 });
        let announced = |announced| Scripted { announced, ..Scripted::new(&[], Then::Hangs) };
        assert_eq!(limits.read(announced(7)).await, too_large);
        assert_eq!(limits.read(announced(6)).await, Err(BodyError::TooSlow));
        for (length, fits) in [("7", false), ("1000000000000", false), ("6", true), ("many", true)] {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static(length))]);
            assert_eq!(limits.check_announced(&headers).is_ok(), fits, "{length}");
            let read = limits.read_request(&headers, Scripted::new(&[b"abc"], Then::Ends)).await;
            assert_eq!(read.is_ok(), fits, "{length}");
        }
        assert_eq!(limits.check_announced(&HeaderMap::new()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_an_end_is_waited_for_as_long_as_its_bounds_say() {
        let second = Duration::from_secs(1);
        let slow = BodyLimits::new(100).minimum_rate(2, 3 * second);
        for (limits, pieces, time) in [
            (BodyLimits::new(100), &[b"abc".as_slice()][..], BODY_TIME),
            (BodyLimits::new(100).time(second), &[b"abc"], second),
            (BodyLimits::new(100).time(Duration::MAX), &[], LONGEST),
            (slow, &[], 3 * second),
            (slow, &[b"abcd", b"efgh"], 7 * second),
            (slow.time(5 * second), &[b"abcd", b"efgh"], 5 * second),
        ] {
            let began = Instant::now();
            let read = limits.read(Scripted::new(pieces, Then::Hangs)).await;
            assert_eq!(read, Err(BodyError::TooSlow));
            let took = began.elapsed();
            assert!(took >= time && took < time + second, "{limits:?}: {took:?}");
        }
    }

    #[tokio::test]
    async fn who_takes_the_pieces_may_end_it() {
        #[derive(Debug, PartialEq, Eq)]
        enum Trouble {
            Body(BodyError),
            Enough(usize),
        }
        impl From<BodyError> for Trouble {
            fn from(error: BodyError) -> Self {
                Self::Body(error)
            }
        }
        let read = async |limit, then| {
            let mut bytes = 0;
            let take = |piece: &[u8]| {
                bytes += piece.len();
                if bytes > 4 { Err(Trouble::Enough(bytes)) } else { Ok(()) }
            };
            BodyLimits::new(limit).read_pieces(Scripted::new(&[b"abc", b"def"], then), take).await
        };
        assert_eq!(read(100, Then::Hangs).await, Err(Trouble::Enough(6)));
        assert_eq!(read(4, Then::Hangs).await, Err(Trouble::Body(BodyError::TooLarge { limit: 4 })));
    }
}
