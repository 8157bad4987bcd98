//! Names as AMQP's short strings, which have at most 255 bytes (AMQP 0-9-1, section 4.2.5.3).

use lapin::types::ShortString;

/// The longest short string, in bytes.
const LONGEST: usize = 255;

/// A name of the plan, which was found to be short enough when the plan was made. Any other that is too long becomes
/// the empty one, which nothing has.
pub(crate) fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}

/// As much of a text as fits: a host's name may make a consumer tag too long.
pub(crate) fn cut_short(text: &str) -> ShortString {
    short(&text[..text.floor_char_boundary(text.len().min(LONGEST))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_or_empty_and_a_text_is_cut_between_characters() {
        assert_eq!(short("orders").as_str(), "orders");
        assert_eq!(short(&"o".repeat(256)).as_str(), "");
        assert_eq!(cut_short(&"é".repeat(128)).as_str(), "é".repeat(127));
    }
}
