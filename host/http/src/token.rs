//! Whether a request has the token of its route. Pure.

use hive_config::plan::Password;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

pub(crate) fn sends(headers: &HeaderMap, token: &Password) -> bool {
    let sent = headers.get(header::AUTHORIZATION);
    let sent = sent.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Comparing checksums takes equally long wherever they differ, and so reveals nothing.
    sent.is_some_and(|sent| Sha256::digest(sent) == Sha256::digest(token.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_will_do() {
        let token = Password::from("0123456789abcdef".to_owned());
        let sends = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            sends(&headers, &token)
        };
        assert!(sends("Bearer 0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcde",
            "0123456789abcdef",
            "Bearer ",
            "Basic 0123456789abcdef",
        ] {
            assert!(!sends(wrong), "{wrong}");
        }
        assert!(!super::sends(&HeaderMap::new(), &token));
    }
}
