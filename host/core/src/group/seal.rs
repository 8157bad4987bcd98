//! Seals on what a host of the group does for another: that the text comes from a host with the same
//! `host.admin_token`, and is meant for this one, as the question or the answer that it is.
//!
//! HMAC-SHA256 (RFC 2104). A seal proves the sender and hides nothing. That a text was not sent before is for whoever
//! reads it to find out.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What is put in front of every text, so that a seal is good for nothing else.
const PURPOSE: &str = "hive.hosts step 1";

/// The secret that the hosts of a group share.
pub struct Key(Hmac<Sha256>);

/// A text and its seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The text.
    pub text: String,
    /// The seal, in hexadecimal. Empty where the sender has no secret.
    pub seal: String,
}

/// The question to which a text belongs.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The id of the host that asks.
    pub asker: &'a str,
    /// The id of the host that is asked.
    pub asked: &'a str,
    /// The number of the question.
    pub number: u64,
}

/// On which way the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the host that is asked.
    Question,
    /// Back.
    Answer,
}

impl Key {
    /// The key that a secret makes.
    #[expect(
        clippy::missing_panics_doc,
        reason = "HMAC takes a secret of any length (RFC 2104, section 2)"
    )]
    pub fn new(secret: &str) -> Self {
        let hmac = Hmac::new_from_slice(secret.as_bytes());
        Self(hmac.expect("HMAC takes a secret of any length"))
    }

    /// The text, sealed.
    pub fn seal(&self, kind: Kind, exchange: &Exchange<'_>, text: String) -> Sealed {
        let seal = self.over(kind, exchange, &text).finalize().into_bytes();
        let seal = seal.iter().map(|octet| format!("{octet:02x}")).collect();
        Sealed { text, seal }
    }

    /// The text, if its seal is right.
    pub fn open<'a>(
        &self,
        kind: Kind,
        exchange: &Exchange<'_>,
        sealed: &'a Sealed,
    ) -> Option<&'a str> {
        let seal = octets(&sealed.seal)?;
        let hmac = self.over(kind, exchange, &sealed.text);
        // In a time that does not tell where they differ.
        hmac.verify_slice(&seal).ok().map(|()| &*sealed.text)
    }

    fn over(&self, kind: Kind, exchange: &Exchange<'_>, text: &str) -> Hmac<Sha256> {
        let Exchange {
            asker,
            asked,
            number,
        } = exchange;
        let kind = match kind {
            Kind::Question => "question",
            Kind::Answer => "answer",
        };
        // An id has no end of line in it, so no two of these are the same.
        let head = format!("{PURPOSE}\n{kind}\n{asker}\n{asked}\n{number}\n");
        let mut hmac = self.0.clone();
        hmac.update(head.as_bytes());
        hmac.update(text.as_bytes());
        hmac
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The octets that hexadecimal digits stand for.
fn octets(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| high << 4 | low);
    rest.is_empty().then(|| octets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Exchange<'_> = Exchange {
        asker: "aa",
        asked: "bb",
        number: 7,
    };

    #[test]
    fn a_text_is_opened_where_it_was_meant_and_nowhere_else() {
        let key = Key::new("open sesame 1234");
        let sealed = key.seal(Kind::Question, &HERE, "pause".to_owned());
        assert_eq!(key.open(Kind::Question, &HERE, &sealed), Some("pause"));
        let elsewhere = [
            Exchange {
                asker: "bb",
                ..HERE
            },
            Exchange {
                asked: "cc",
                ..HERE
            },
            Exchange { number: 8, ..HERE },
        ];
        for exchange in elsewhere {
            let opened = key.open(Kind::Question, &exchange, &sealed);
            assert_eq!(opened, None, "{exchange:?}");
        }
        assert_eq!(key.open(Kind::Answer, &HERE, &sealed), None);
        let other = Key::new("open sesame 12345");
        assert_eq!(other.open(Kind::Question, &HERE, &sealed), None);
    }

    #[test]
    fn another_text_or_seal_is_not_opened() {
        let key = Key::new("open sesame 1234");
        let sealed = key.seal(Kind::Answer, &HERE, "paused".to_owned());
        let other = Sealed {
            text: "resumed".to_owned(),
            ..sealed.clone()
        };
        assert_eq!(key.open(Kind::Answer, &HERE, &other), None);
        for seal in ["", "0", "00", "zz", &sealed.seal[2..], &"é".repeat(32)] {
            let other = Sealed {
                seal: seal.to_owned(),
                ..sealed.clone()
            };
            assert_eq!(key.open(Kind::Answer, &HERE, &other), None, "{seal}");
        }
    }

    /// Made with Python's `hmac`, so that two versions of Hive have the same seals.
    #[test]
    fn the_seal_stays_what_it_is() {
        let key = Key::new("open sesame 1234");
        let sealed = key.seal(Kind::Question, &HERE, "pause".to_owned());
        assert_eq!(
            sealed.seal,
            "8352f2cd89ffa325c36b70ddd03fbb140e342a3aec78decefc4415dd15b11065"
        );
    }
}
