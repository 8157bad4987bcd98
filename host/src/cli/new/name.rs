//! Valid names of a project: they must be valid for a crate, an npm package, a Go module and a queue.

/// crates.io and Cargo take no longer ones.
const LONGEST: usize = 64;

/// Words that are taken in some language: keywords and libraries of Rust, and what a project is made of.
const TAKEN: [&str; 55] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "hive-guest",
    "hive-guest-macros",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "use",
    "wit-bindgen",
    "yield",
];

/// The error says what to write instead.
pub(super) fn check(name: &str) -> Result<(), String> {
    if name.len() > LONGEST {
        return Err(format!(
            "{name:?} cannot be the name of a project: it has {} characters; take {LONGEST} at the most",
            name.chars().count()
        ));
    }
    if !is_well_formed(name) {
        let instead = mended(name).unwrap_or_else(|| "my-consumer".to_owned());
        return Err(format!(
            "{name:?} cannot be the name of a project: write lower-case letters, digits and single hyphens, \
             beginning with a letter, as in `{instead}`"
        ));
    }
    if TAKEN.contains(&name) {
        return Err(format!(
            "`{name}` cannot be the name of a project: the word is taken in one of the languages; write `{name}-consumer`"
        ));
    }
    Ok(())
}

fn is_well_formed(name: &str) -> bool {
    let is_sound = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_sound)
}

/// The nearest name that will do.
fn mended(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let parts = lower.split(|one: char| !one.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let mended = parts.join("-");
    let mended = mended.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    (is_well_formed(mended) && !TAKEN.contains(&mended)).then(|| mended.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_language_takes_is_taken() {
        for name in ["greeter", "a", "orders-2-stock", "x86"] {
            assert_eq!(check(name), Ok(()));
        }
    }

    #[test]
    fn what_is_refused_is_told_with_what_to_write() {
        let told = [
            ("Greeter", "`greeter`"),
            ("my_consumer", "`my-consumer`"),
            ("a/b", "`a-b`"),
            ("../greeter", "`greeter`"),
            ("2-orders", "`orders`"),
            ("-", "`my-consumer`"),
            ("", "`my-consumer`"),
            ("größe", "`gr-e`"),
            ("a--b", "`a-b`"),
            ("a-", "`a`"),
            ("{{name}}", "`name`"),
            ("Self", "`my-consumer`"),
            ("match", "`match-consumer`"),
            ("hive-guest", "`hive-guest-consumer`"),
            (&"a".repeat(65), "64 at the most"),
        ];
        for (name, instead) in told {
            let fault = check(name).expect_err(name);
            assert!(fault.contains(instead), "{fault}");
        }
    }

    #[test]
    fn the_words_are_in_order_and_there_once() {
        assert!(TAKEN.is_sorted_by(|one, next| one < next));
        assert!(TAKEN.iter().all(|word| is_well_formed(word)));
    }
}
