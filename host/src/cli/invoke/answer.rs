//! A component's answer or failure, for people.

use std::fmt::Write as _;

use hive_core::answer::Answer;
use hive_core::escape;
use hive_core::message::{Action, Publication, Retry};

use crate::cli::parts::{body, headers, properties};

/// Writes an answer as text for people.
pub(super) fn write(answer: &Answer, text: &mut String) {
    match answer {
        Answer::Action(Action::Ack) => text.push_str("ack\n"),
        Answer::Action(Action::Publish(publications)) => {
            writeln!(text, "publish {}", publications.len()).expect("a String takes all");
            publications.iter().for_each(|one| publication(one, text));
        }
        Answer::Action(Action::Retry(Retry { reason, delay })) => {
            let delay = delay.map_or(String::new(), |delay| format!(" after {delay:?}"));
            told(&format!("retry{delay}"), reason, text);
        }
        Answer::Action(Action::Reject(reason)) => told("reject", reason, text),
        Answer::Failure { class, error } => told(&format!("failed ({class})"), error, text),
    }
}

/// All lines of it: a traceback has many.
fn told(what: &str, reason: &str, text: &mut String) {
    let mut lines = reason.lines();
    let first = escape::lines(lines.next().unwrap_or_default());
    writeln!(text, "{what}: {first}").expect("a String takes all");
    for line in lines {
        writeln!(text, "  {}", escape::lines(line)).expect("a String takes all");
    }
}

fn publication(publication: &Publication, text: &mut String) {
    let Publication {
        exchange,
        routing_key,
        message,
        mandatory,
        delay,
    } = publication;
    let mut put = |name: &str, value: &str| {
        writeln!(text, "  {name:<18} {}", escape::line(value)).expect("a String takes all");
    };
    match exchange.as_str() {
        "" => put("to queue", &format!("{routing_key:?}")),
        _ => put(
            "to exchange",
            &format!("{exchange:?} with routing key {routing_key:?}"),
        ),
    }
    if !mandatory {
        put("mandatory", "false");
    }
    if let Some(delay) = delay {
        put("delay", &format!("{delay:?}"));
    }
    for (name, value) in properties(&message.properties) {
        put(name, &value);
    }
    for (_, header) in headers(&message.properties) {
        put("header", &header);
    }
    body(&message.body, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_many_lines_is_told_whole_and_moves_no_cursor() {
        let mut text = String::new();
        let error = "ValueError: no\n  File \"a.py\", line 3\n\u{1b}[2J".to_owned();
        let class = "error";
        write(&Answer::Failure { class, error }, &mut text);
        assert_eq!(
            text,
            "failed (error): ValueError: no\n    File \"a.py\", line 3\n  \\u{1b}[2J\n"
        );
    }
}
