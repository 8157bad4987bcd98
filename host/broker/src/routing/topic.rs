//! Matches a routing key with the pattern of a topic binding.

/// Whether `key` has the words of `pattern`, where `*` is any one word and `#` any number of them.
pub(super) fn matches(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = words(pattern);
    let key: Vec<&str> = words(key);
    let (mut at, mut in_key) = (0, 0);
    // Where to continue when the words after the last `#` turn out not to fit.
    let mut retry = None;
    loop {
        match pattern.get(at) {
            Some(&"#") => {
                retry = Some((at + 1, in_key));
                at += 1;
                continue;
            }
            Some(&word) if in_key < key.len() && (word == "*" || word == key[in_key]) => {
                at += 1;
                in_key += 1;
                continue;
            }
            None if in_key == key.len() => return true,
            _ => {}
        }
        match retry {
            Some((after, from)) if from < key.len() => {
                retry = Some((after, from + 1));
                (at, in_key) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// An empty key has no words.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split('.').collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_words() {
        for (pattern, key, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.", true),
            ("*", "", false),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#.z", "a.z", true),
            ("a.#.z", "a.b.c.z", true),
            ("a.#.z", "a.b.c", false),
            ("#.b.#", "a.b.c", true),
            ("#.b.*", "a.b.b.c", true),
            ("*.*", "a.b", true),
            ("#.*", "", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} with {key}");
        }
    }

    /// The definition of the pattern language, without any optimisation.
    fn by_definition(pattern: &[&str], key: &[&str]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((&"#", rest)) => {
                (0..=key.len()).any(|skipped| by_definition(rest, &key[skipped..]))
            }
            Some((word, rest)) => key.split_first().is_some_and(|(first, others)| {
                (*word == "*" || word == first) && by_definition(rest, others)
            }),
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#"]), 0..6),
            key in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..7),
        ) {
            let expected = by_definition(&pattern, &key);
            prop_assert_eq!(matches(&pattern.join("."), &key.join(".")), expected);
        }
    }
}
