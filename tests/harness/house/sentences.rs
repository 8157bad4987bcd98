//! Nobody matches a sentence of the log: each fact has an event and fields for that.

use std::path::Path;

use super::Breach;

/// Where a text is compared with something.
const MATCHES: [&str; 8] = [
    "contains(",
    "starts_with(",
    "ends_with(",
    "split_once(",
    "wait_for_output(",
    "mentions(",
    "wait_for_printed(",
    "== ",
];

/// Macros whose line would have no event.
const LINES: [&str; 3] = ["tracing::info!", "tracing::warn!", "tracing::error!"];

/// The sentences of the facts that `list` declares: what stands behind the level of each.
pub fn sentences(list: &str) -> Vec<String> {
    let levels = [", DEBUG, \"", ", INFO, \"", ", WARN, \"", ", ERROR, \""];
    let places = levels.iter().flat_map(|level| behind(list, level));
    places.map(literal).collect()
}

/// Checks that a file matches none of `sentences`.
pub fn check_sentences(file: &Path, text: &str, sentences: &[String]) -> Vec<Breach> {
    let calls = MATCHES.iter().flat_map(|call| behind(text, call));
    let constants = behind(text, ": &str = ");
    let literals = calls.chain(constants).filter_map(|rest| {
        let rest = rest.trim_start().trim_start_matches("&format!(");
        rest.strip_prefix('"').map(literal)
    });
    literals
        .filter(|literal| is_of_one(literal.trim(), sentences))
        .map(|literal| breach(file, format!("matches a sentence of the log, {literal:?}")))
        .collect()
}

/// Whether a text begins a sentence, or is so long a part of one that it cannot be there by chance.
fn is_of_one(text: &str, sentences: &[String]) -> bool {
    let words = text.split(' ').count();
    let begins = |sentence: &String| words >= 2 && sentence.starts_with(text);
    let is_in = |sentence: &String| words >= 3 && sentence.contains(text);
    sentences
        .iter()
        .any(|sentence| begins(sentence) || is_in(sentence))
}

/// Checks that a file of the host logs through facts, and shows none by what the log makes of it.
pub fn check_lines(file: &Path, text: &str) -> Vec<Breach> {
    let logged = LINES.iter().filter(|line| text.contains(**line));
    let logged = logged.map(|line| breach(file, format!("logs with {line} and not as a fact")));
    let followed = text.contains("fn on_event(");
    let followed = followed.then(|| breach(file, "reads log lines and not facts".to_owned()));
    logged.chain(followed).collect()
}

fn breach(file: &Path, what: String) -> Breach {
    Breach {
        rule: None,
        file: file.to_owned(),
        what,
    }
}

fn behind<'a>(text: &'a str, mark: &str) -> impl Iterator<Item = &'a str> {
    let length = mark.len();
    text.match_indices(mark)
        .map(move |(place, _)| &text[place + length..])
}

/// What a string literal says whose beginning was read.
fn literal(rest: &str) -> String {
    let mut said = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => said.extend(characters.next()),
            other => said.push(other),
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        Kept("delivery.kept", WARN, "kept in the host until it can go on") { };
        Denied("component.denied", INFO, "denied \"{what}\"");
    "#;

    #[test]
    fn sentences_are_read_from_the_list() {
        let all = sentences(LIST);
        assert_eq!(
            all,
            ["denied \"{what}\"", "kept in the host until it can go on"]
        );
    }

    #[test]
    fn a_matched_sentence_is_found_and_a_name_is_not() {
        let breaches =
            |text: &str| check_sentences(Path::new("a.rs"), text, &sentences(LIST)).len();
        assert_eq!(breaches(r#"assert!(line.contains("kept in the host"))"#), 1);
        assert_eq!(
            breaches(r#"host.wait_for_output(&format!("until it can"))"#),
            1
        );
        assert_eq!(breaches(r#"const KEPT: &str = "kept in the host";"#), 1);
        assert_eq!(breaches(r#"host.wait_for_event("delivery.kept", &[])"#), 0);
        assert_eq!(
            breaches(r#"assert!(reason.contains("406 PRECONDITION"))"#),
            0
        );
    }

    #[test]
    fn a_line_without_an_event_is_found() {
        let breaches = |text: &str| check_lines(Path::new("a.rs"), text).len();
        assert_eq!(breaches(r#"tracing::warn!("it burns")"#), 1);
        assert_eq!(breaches(r#"tracing::debug!("it is warm")"#), 0);
        assert_eq!(breaches("fn on_event(&self, event: &Event<'_>)"), 1);
    }
}
