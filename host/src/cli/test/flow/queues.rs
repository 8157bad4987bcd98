//! The messages that wait in a queue against those that are expected.

use std::fmt::Write as _;

use hive_config::cases::{MessageMatch, QueueMatch};
use serde_json::Value;

use super::stage::Stage;
use crate::cli::test::compare::{Differences, differs, message, messages, shown_json};

/// How the messages of a queue differ.
pub(super) async fn compare(
    expected: &QueueMatch,
    wanted: &[MessageMatch],
    stage: &Stage,
    at: &str,
) -> Differences {
    let at = format!("{at}.messages");
    let got = match stage.messages(&expected.queue, expected.count).await {
        Ok(got) => got,
        Err(reason) => return vec![differs(&at, reason)],
    };
    match expected.any_order {
        true => in_any_order(wanted, &got, &at),
        false => messages(wanted, &got, &at),
    }
}

/// Each expectation takes the first message that fits and that no other has taken.
fn in_any_order(expected: &[MessageMatch], got: &[Value], at: &str) -> Differences {
    let mut left: Vec<&Value> = got.iter().collect();
    let mut unmet = Vec::new();
    for (index, expected) in expected.iter().enumerate() {
        let fits = |got: &&Value| message(expected, got, "").is_empty();
        match left.iter().position(fits) {
            Some(position) => drop(left.remove(position)),
            None => unmet.push(index),
        }
    }
    let told = unmet.into_iter().map(|index| {
        let mut words = "no message is like this one; those that are left:".to_owned();
        for message in &left {
            write!(words, "\n{}", shown_json(message)).expect("a String takes all");
        }
        differs(&format!("{at}[{index}]"), words)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use hive_config::cases::BodyMatch;
    use serde_json::json;

    use super::*;

    fn with(body: &str) -> MessageMatch {
        MessageMatch {
            body: Some(BodyMatch::Is(body.into())),
            ..MessageMatch::default()
        }
    }

    #[test]
    fn messages_in_any_order_are_each_taken_once() {
        let got = [json!({"body": "b"}), json!({"body": "a"})];
        assert!(in_any_order(&[with("a"), with("b")], &got, "m").is_empty());
        let found = in_any_order(&[with("a"), with("a")], &got, "m");
        assert_eq!((found.len(), &*found[0].place), (1, "m[1]"));
        assert!(found[0].words.ends_with("left:\n{\"body\":\"b\"}"));
        // In their order, both are others than expected.
        assert_eq!(messages(&[with("a"), with("b")], &got, "m").len(), 2);
    }
}
