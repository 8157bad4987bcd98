//! Removes secrets from the lines that a problem shows.
//!
//! Two rules. The text between `://` and the last `@` of a line is user info, under whatever key. And the value
//! of a secret key is removed, except for parts that are known to be harmless.

use std::ops::Range;

use super::problem::Excerpt;

/// The replacement of a secret.
const STRUCK: &str = "***";

/// The line of `text` in which `span` begins, with the secrets struck out of it. `secrets` are the
/// spans of the values of secret keys.
pub(crate) fn excerpt(text: &str, span: &Range<usize>, secrets: &[Range<usize>]) -> Excerpt {
    let start = floor(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = text[line_start..line_end].trim_end_matches('\r');
    let within = |at: usize| floor(line, at.saturating_sub(line_start));

    let struck = secrets
        .iter()
        .filter(|secret| secret.start < line_end && line_start < secret.end)
        .filter_map(|secret| secret_part(line, within(secret.start)..within(secret.end)))
        .chain(user_info(line, 0))
        .chain(key_material(line))
        .collect();
    let (shown, span) = strike(line, within(span.start)..within(span.end), struck);
    Excerpt {
        line: text[..line_start].matches('\n').count() + 1,
        text: shown,
        span,
    }
}

/// A text of the file for a message: without user info, quoted, escaped and not too long.
pub(crate) fn quote(text: &str) -> String {
    let struck: Vec<_> = user_info(text, 0).into_iter().collect();
    let (shown, _) = strike(text, 0..0, struck);
    format!("{:?}", short(&shown))
}

/// The beginning of a text that may be long.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The nearest character boundary of `text` at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// User info in a URL: the text between `://` and the last `@`. Without an `@` there may still be user info,
/// with its host forgotten: a word after a colon that is not a port is taken for it.
fn user_info(line: &str, from: usize) -> Option<Range<usize>> {
    let start = from + line[from..].find("://")? + "://".len();
    let rest = &line[start..];
    if let Some(at) = rest.rfind('@') {
        return Some(start..start + at);
    }
    let authority = rest.split(['/', '?', '"', '\'', '}']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    let bracketed = authority.starts_with('[');
    let a_port = port.chars().all(|c| c.is_ascii_digit());
    (!a_port && !bracketed).then_some(start..line.len())
}

/// The part of a secret key's value that is removed.
fn secret_part(line: &str, value: Range<usize>) -> Option<Range<usize>> {
    let written = line[value.clone()].trim_matches(['"', '\'']);
    if written.contains("://") {
        return user_info(line, value.start);
    }
    let a_file = written.starts_with("file:");
    let a_variable = written.starts_with("${") && !written.contains(":-");
    let a_path = [".pem", ".key", ".crt"]
        .iter()
        .any(|end| written.ends_with(end))
        && !written.contains([':', '@']);
    (!a_file && !a_variable && !a_path && !written.is_empty()).then_some(value)
}

/// The body of a PEM file that was pasted into the file.
fn key_material(line: &str) -> Option<Range<usize>> {
    let body = line.trim();
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    if body.len() >= 40 && body.chars().all(base64) {
        return Some(0..line.len());
    }
    line.find("-----BEGIN").map(|at| at..line.len())
}

/// Replaces `struck`, and moves `span` along.
fn strike(line: &str, span: Range<usize>, struck: Vec<Range<usize>>) -> (String, Range<usize>) {
    let struck = merged(struck);
    let mut shown = String::new();
    let mut copied = 0;
    for range in &struck {
        shown.push_str(&line[copied..range.start]);
        shown.push_str(STRUCK);
        copied = range.end;
    }
    shown.push_str(&line[copied..]);
    let start = moved(span.start, &struck, 0);
    let end = moved(span.end, &struck, STRUCK.len());
    (shown, start.min(end)..end)
}

/// The same ranges in order; those that overlap or touch become one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Where the position `at` of the line is once `struck` is replaced. A position inside of a struck
/// range lands `inside` bytes into its replacement.
fn moved(at: usize, struck: &[Range<usize>], inside: usize) -> usize {
    let (mut written, mut shown) = (0, 0);
    for range in struck {
        if at <= range.start {
            break;
        }
        shown += range.start - written;
        if at < range.end {
            return shown + inside;
        }
        shown += STRUCK.len();
        written = range.end;
    }
    shown + (at - written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, span: Range<usize>, secrets: &[Range<usize>]) -> (String, String) {
        let excerpt = excerpt(line, &span, secrets);
        let marked = excerpt.text[excerpt.span.clone()].to_owned();
        (excerpt.text, marked)
    }

    #[test]
    fn user_info_is_struck_out_and_the_caret_moves_along() {
        let line = r#"main = { url = "amqp://u:secret@h", hartbeat = "1s" }"#;
        let at = line.find("hartbeat").unwrap();
        let (text, marked) = shown(line, at..at + 8, &[]);
        assert_eq!(text, r#"main = { url = "amqp://***@h", hartbeat = "1s" }"#);
        assert_eq!(marked, "hartbeat");
    }

    #[test]
    fn a_password_is_struck_out_of_urls_that_are_broken() {
        for url in [
            "amqp://u:secret",
            "u:secret@h",
            "secret",
            "amqp://u:se/cret@h",
        ] {
            let line = format!("url = \"{url}\"");
            let value = 6..line.len();
            let (text, _) = shown(&line, value.clone(), std::slice::from_ref(&value));
            assert!(!text.contains("cret"), "{text}");
        }
    }

    #[test]
    fn harmless_values_are_shown() {
        for url in [
            "amqp://h:5672/%2f",
            "${BROKER}",
            "file:secrets/url",
            "amqps://[::1]/v",
        ] {
            let line = format!("url = \"{url}\"");
            let value = 6..line.len();
            let (text, marked) = shown(&line, value.clone(), std::slice::from_ref(&value));
            assert_eq!(text, line);
            assert_eq!(marked, format!("\"{url}\""));
        }
    }

    #[test]
    fn a_quoted_text_is_short_and_has_no_user_info() {
        assert_eq!(quote("amqp://u:secret@h"), "\"amqp://***@h\"");
        assert_eq!(quote(&"é".repeat(100)).chars().count(), 63);
    }

    #[test]
    fn a_pasted_key_is_struck_out_line_by_line() {
        let text = "key = \"\"\"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n\"\"\"";
        let secret = 6..text.len();
        assert_eq!(
            shown(text, 6..20, std::slice::from_ref(&secret)).0,
            "key = ***"
        );
        assert_eq!(shown(text, 40..41, &[secret]).0, "***");
    }
}
