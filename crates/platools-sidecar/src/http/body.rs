//! What is kept of an answer: as much of it as may be, unpacked where it comes compressed.
//!
//! What comes is bounded before. The limit here counts what is unpacked, piece by piece: a small answer that unpacks to
//! gigabytes is never held.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use platools::tool::shortened;

use crate::memory::Counted;

/// What may be sent compressed, in the words of `Accept-Encoding`.
pub(super) const ACCEPTED: &str = "gzip";

/// Why a body is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnpackError {
    /// It is longer than it may be.
    TooLarge,
    /// All answers that are being read are too many bytes together.
    Crowded,
    /// It is not what its headers say.
    Unreadable(String),
}

/// A body as it comes, and as it is kept.
#[derive(Debug)]
pub(super) enum Unpacked {
    Plain(Kept),
    Packed {
        decoder: Box<MultiGzDecoder<Kept>>,
        /// Nothing at all is an answer to HEAD, and no broken stream.
        has_begun: bool,
    },
}

/// Bytes up to a limit.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    counted: Counted,
    limit: usize,
    /// Why there is no more of it.
    ended: Option<UnpackError>,
}

impl Write for Kept {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.limit - self.bytes.len() {
            return Err(self.end(UnpackError::TooLarge));
        }
        if !self.counted.add(more.len()) {
            return Err(self.end(UnpackError::Crowded));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn end(&mut self, why: UnpackError) -> io::Error {
        self.ended = Some(why);
        io::Error::other("a limit is reached")
    }
}

impl Unpacked {
    /// The beginning of a body of at most `limit` bytes, which count in `counted`.
    ///
    /// # Errors
    /// When it is in an encoding that nobody asked for.
    pub(super) fn new(headers: &HeaderMap, limit: usize, counted: Counted) -> Result<Self, UnpackError> {
        let kept = Kept { bytes: Vec::new(), counted, limit, ended: None };
        let encodings: Vec<String> = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        match encodings.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(Self::Plain(kept)),
            ["gzip" | "x-gzip"] => {
                Ok(Self::Packed { decoder: Box::new(MultiGzDecoder::new(kept)), has_begun: false })
            }
            _ => Err(UnpackError::Unreadable(format!(
                "it is encoded as `{}`, which was not asked for",
                shortened(&encodings.join(", "), 40)
            ))),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When that is too much, or cannot be unpacked.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        match self {
            Self::Plain(kept) => kept.write_all(piece).map_err(|error| why(kept, &error)),
            Self::Packed { decoder, has_begun } => {
                *has_begun = true;
                decoder.write_all(piece).map_err(|error| why(decoder.get_mut(), &error))
            }
        }
    }

    /// All of it, and what it counts.
    ///
    /// # Errors
    /// When something compressed ends too early.
    pub(super) fn finish(self) -> Result<(Vec<u8>, Counted), UnpackError> {
        match self {
            Self::Plain(kept) => Ok((kept.bytes, kept.counted)),
            Self::Packed { has_begun: false, .. } => Ok(Default::default()),
            Self::Packed { mut decoder, .. } => {
                decoder.try_finish().map_err(|error| why(decoder.get_mut(), &error))?;
                let kept = decoder.get_mut();
                Ok((std::mem::take(&mut kept.bytes), std::mem::take(&mut kept.counted)))
            }
        }
    }
}

fn why(kept: &mut Kept, error: &io::Error) -> UnpackError {
    let unreadable = || UnpackError::Unreadable(format!("it is called gzip and is not ({error})"));
    kept.ended.take().unwrap_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;
    use crate::memory::Budget;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(encoding: &'static str, pieces: &[&[u8]], limit: usize) -> Result<Vec<u8>, UnpackError> {
        let mut headers = HeaderMap::new();
        if !encoding.is_empty() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let mut body = Unpacked::new(&headers, limit, Counted::default())?;
        for piece in pieces {
            body.push(piece)?;
        }
        body.finish().map(|(body, _)| body)
    }

    #[test]
    fn responses_that_are_read_at_once_have_a_common_bound() {
        static BUDGET: Budget = Budget::new(10);
        let begun = |encoding: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
            Unpacked::new(&headers, 10, Counted::of(&BUDGET)).unwrap()
        };
        let mut first = begun("identity");
        first.push(b"123456").unwrap();
        let first = first.finish().unwrap();
        assert_eq!(begun("identity").push(b"12345"), Err(UnpackError::Crowded));
        let mut second = begun("gzip");
        let packed = packed(b"12345");
        let read = second.push(&packed).and_then(|()| second.finish().map(drop));
        assert_eq!(read, Err(UnpackError::Crowded));
        drop(first);
        let mut third = begun("gzip");
        third.push(&packed).unwrap();
        let (body, counted) = third.finish().unwrap();
        assert_eq!(body, b"12345");
        assert_eq!(
            begun("identity").push(b"123456"),
            Err(UnpackError::Crowded),
            "it counts until it is used"
        );
        drop(counted);
        assert_eq!(begun("identity").push(b"1234567890"), Ok(()));
    }

    #[test]
    fn what_is_packed_is_unpacked_in_whatever_pieces_it_comes() {
        let text = b"{\"pieces\": 3}".as_slice();
        let gzip = packed(text);
        assert_eq!(read("", &[b"ab", b"c"], 3).unwrap(), b"abc");
        assert_eq!(read("identity", &[text], 100).unwrap(), text);
        for encoding in ["gzip", "x-gzip", "GZip", "identity, gzip"] {
            assert_eq!(read(encoding, &[&gzip], 100).unwrap(), text, "{encoding}");
        }
        let bytes: Vec<&[u8]> = gzip.chunks(1).collect();
        assert_eq!(read("gzip", &bytes, 100).unwrap(), text);
        assert_eq!(read("gzip", &[&gzip, &gzip], 100).unwrap(), [text, text].concat(), "two members");
        assert_eq!(read("gzip", &[], 100).unwrap(), b"", "as an answer to HEAD");
    }

    #[test]
    fn the_limit_counts_what_is_unpacked() {
        assert_eq!(read("", &[b"abcd"], 3), Err(UnpackError::TooLarge));
        let bomb = packed(&vec![b'x'; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(read("gzip", &[&bomb], 1 << 20), Err(UnpackError::TooLarge));
        let pieces: Vec<&[u8]> = bomb.chunks(100).collect();
        assert_eq!(read("gzip", &pieces, 1 << 20), Err(UnpackError::TooLarge));
        assert_eq!(read("gzip", &[&bomb], 10 << 20).unwrap().len(), 10 << 20);
    }

    #[test]
    fn what_cannot_be_unpacked_is_said() {
        let gzip = packed(b"{\"pieces\": 3}");
        for (encoding, body, part) in [
            ("br", b"x".as_slice(), "encoded as `br`"),
            ("gzip, gzip", b"x", "encoded as `gzip, gzip`"),
            ("gzip", b"{\"pieces\": 3}", "called gzip and is not"),
            ("gzip", &gzip[..gzip.len() - 4], "called gzip and is not"),
            ("gzip", &[&gzip[..20], b"garbage"].concat(), "called gzip and is not"),
        ] {
            match read(encoding, &[body], 100) {
                Err(UnpackError::Unreadable(problem)) => assert!(problem.contains(part), "{problem}"),
                other => panic!("{encoding}: {other:?}"),
            }
        }
    }
}
