//! A compressed body as it was before, up to a limit.
//!
//! The limit holds for memory too: a few hundred bytes may become gigabytes ("bombs"), and a zstd frame may ask for a
//! window as large as it likes.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use hive_core::message::Message;

/// A body without the encodings that were undone.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The body.
    pub body: Vec<u8>,
    /// What is left of `content-encoding`.
    pub encoding: Option<String>,
}

/// Why a body cannot be decoded. No word of the body is in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecoded {
    /// It is not what its `content-encoding` says.
    #[error("the body is not {0}, as its content-encoding says, or not whole")]
    Broken(&'static str),
    /// It would be too large.
    #[error(
        "the body has more than {0} bytes once it is decoded, which is the limit (`max_decoded`)"
    )]
    TooLarge(usize),
}

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// The one of this name, in any case (RFC 9110, section 8.4.1). What is none is left as it is: some clients write a
    /// character set into `content-encoding`.
    fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn undone(self, body: &[u8], limit: usize) -> Result<Vec<u8>, NotDecoded> {
        let undone = match self {
            Self::Gzip => at_most(MultiGzDecoder::new(body), limit),
            Self::Zstd => zstd(body, limit),
        };
        let undone = undone.map_err(|_| NotDecoded::Broken(self.name()))?;
        undone.ok_or(NotDecoded::TooLarge(limit))
    }
}

/// The body of a message without gzip and zstd, if it has either. They are undone from the last to the first, up to one
/// that is neither.
///
/// # Errors
///
/// It is broken, or larger than `limit` bytes.
pub fn decode(message: &Message, limit: usize) -> Result<Option<Decoded>, NotDecoded> {
    let Some(written) = message.properties.content_encoding.as_deref() else {
        return Ok(None);
    };
    let mut left: Vec<&str> = written.split(',').collect();
    let mut body = Cow::Borrowed(&message.body[..]);
    while let Some(encoding) = left.last().copied().and_then(Encoding::named) {
        body = Cow::Owned(encoding.undone(&body, limit)?);
        left.pop();
    }
    Ok(match body {
        Cow::Borrowed(_) => None,
        Cow::Owned(body) => Some(Decoded {
            body,
            encoding: (!left.is_empty()).then(|| left.join(",")),
        }),
    })
}

fn zstd(body: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    // The smallest power of two that holds the limit, and what RFC 8878, section 3.1.1.1.2 wants supported at least.
    let window = limit.next_power_of_two().ilog2().clamp(23, 31);
    decoder.window_log_max(window)?;
    at_most(decoder, limit)
}

/// What comes out of `source`; `None` if that is more than `limit` bytes.
fn at_most(source: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hive_core::message::Properties;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn message(encoding: &str, body: Vec<u8>) -> Message {
        Message {
            properties: Properties {
                content_encoding: Some(encoding.to_owned()),
                ..Properties::default()
            },
            body: body.into(),
        }
    }

    fn decoded(encoding: &str, body: Vec<u8>) -> Option<(Vec<u8>, Option<String>)> {
        let decoded = decode(&message(encoding, body), 100).unwrap();
        decoded.map(|decoded| (decoded.body, decoded.encoding))
    }

    #[test]
    fn gzip_and_zstd_are_undone_and_nothing_else_is() {
        let hello = || b"hello".to_vec();
        for (encoding, body) in [
            ("gzip", gzip(b"hello")),
            ("x-gzip", gzip(b"hello")),
            (" GZIP ", gzip(b"hello")),
            ("zstd", zstd(b"hello")),
            ("gzip, zstd", zstd(&gzip(b"hello"))),
            // Several members, and several frames, are one body (RFC 1952, section 2.2; RFC 8878, section 3).
            ("gzip", [gzip(b"hel"), gzip(b"lo")].concat()),
            ("zstd", [zstd(b"hel"), zstd(b"lo")].concat()),
        ] {
            assert_eq!(decoded(encoding, body), Some((hello(), None)), "{encoding}");
        }
        let half = decoded("br,gzip", gzip(b"hello"));
        assert_eq!(half, Some((hello(), Some("br".to_owned()))));
        for encoding in ["utf-8", "binary", "br", "gzip,br", ""] {
            assert_eq!(decoded(encoding, hello()), None, "{encoding}");
        }
        assert_eq!(decode(&Message::default(), 100), Ok(None));
    }

    #[test]
    fn what_is_broken_or_cut_is_an_error() {
        for (encoding, whole) in [("gzip", gzip(b"hello")), ("zstd", zstd(b"hello"))] {
            let broken = Err(NotDecoded::Broken(encoding));
            let cut = whole[..whole.len() - 1].to_vec();
            let longer = [&whole[..], b"more"].concat();
            for body in [cut, longer, b"hello".to_vec()] {
                assert_eq!(decode(&message(encoding, body), 100), broken, "{encoding}");
            }
        }
    }

    #[test]
    fn a_body_that_grows_beyond_the_limit_is_refused() {
        let zeros = vec![0; 50_000_000];
        for bomb in [
            message("gzip", gzip(&zeros)),
            message("zstd", zstd(&zeros)),
            message("gzip,gzip", gzip(&gzip(&zeros))),
        ] {
            assert!(bomb.body.len() < 60_000);
            assert_eq!(decode(&bomb, 70_000), Err(NotDecoded::TooLarge(70_000)));
        }
        let just = vec![7; 70_000];
        let just = decode(&message("gzip", gzip(&just)), 70_000).unwrap();
        assert_eq!(just.map(|decoded| decoded.body.len()), Some(70_000));
    }

    /// A frame with a window of 1 GiB, which a decoder would have to have memory for.
    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(30).unwrap();
        encoder.write_all(b"hello").unwrap();
        let frame = encoder.finish().unwrap();
        let refused = decode(&message("zstd", frame), 16 << 20);
        assert_eq!(refused, Err(NotDecoded::Broken("zstd")));
    }
}
