//! The report of a shadow, for people.

use std::fmt::Write as _;

use hive_core::escape;
use serde_json::Value;

/// The report in lines; `shadow` is that of `/v1/components`.
pub(super) fn text(component: &str, shadow: &Value) -> String {
    let number = |key: &str| shadow[key].as_u64().unwrap_or_default();
    let compared = number("compared");
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        writeln!(text, "  {name:<16}{value}").expect("a String takes all");
    };
    put(
        "compared",
        &format!(
            "{compared}: {} the same, {} different",
            number("same"),
            number("different")
        ),
    );
    put("not comparable", &number("not_comparable").to_string());
    for why in list(&shadow["reasons"]) {
        let reason = escape::line(why["reason"].as_str().unwrap_or_default());
        put("", &format!("{}: {reason}", why["deliveries"]));
    }
    let left_out = match number("left_out") {
        0 => "0".to_owned(),
        some => format!("{some}, since the shadow was behind"),
    };
    put("left out", &left_out);
    put(
        "failed",
        &format!(
            "{} of {compared}, and {} by the current version",
            number("failed"),
            number("current_failed")
        ),
    );
    put(
        "median time",
        &format!(
            "{}, and {} of the current version",
            millis(&shadow["median_ms"]),
            millis(&shadow["current_median_ms"])
        ),
    );
    for seen in list(&shadow["differences"]) {
        difference(seen, &mut text);
    }
    let generation = &shadow["generation"];
    format!("{component}: the shadow, generation {generation}\n{text}")
}

fn difference(seen: &Value, text: &mut String) {
    let said = |key: &str| escape::line(seen[key].as_str().unwrap_or_default());
    let mut put = |line: String| writeln!(text, "{line}").expect("a String takes all");
    put(format!(
        "{} of {} differs",
        said("delivery"),
        said("consumer")
    ));
    put(format!("  current  {}", said("current")));
    put(format!("  new      {}", said("shadow")));
    for place in list(&seen["places"]) {
        let text = |key: &str| place[key].as_str().unwrap_or_default();
        let line = format!("{}: {}", text("place"), text("words"));
        put(format!(
            "  {}",
            escape::lines(&line).replace('\n', "\n    ")
        ));
    }
}

fn millis(value: &Value) -> String {
    match value.as_f64() {
        Some(millis) => format!("{millis:.2} ms"),
        None => "none".to_owned(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_says_what_was_counted_and_what_differs() {
        let shadow = json!({
            "generation": 2, "compared": 3, "same": 2, "different": 1, "not_comparable": 1,
            "left_out": 4, "failed": 1, "current_failed": 0, "median_ms": 1.5, "current_median_ms": 0.25,
            "reasons": [{"reason": "it makes a request over HTTP", "deliveries": 1}],
            "differences": [{
                "consumer": "letters", "delivery": "o-1\u{1b}[2J", "current": "ack", "shadow": "reject: no",
                "places": [
                    {"place": "answer", "words": "current ack, new reject"},
                    {"place": "body", "words": "- current, + new\n- a\n+ b"},
                ],
            }],
        });
        assert_eq!(
            text("orders", &shadow),
            "orders: the shadow, generation 2\n  \
               compared        3: 2 the same, 1 different\n  \
               not comparable  1\n                  \
               1: it makes a request over HTTP\n  \
               left out        4, since the shadow was behind\n  \
               failed          1 of 3, and 0 by the current version\n  \
               median time     1.50 ms, and 0.25 ms of the current version\n\
             o-1\\u{1b}[2J of letters differs\n  \
               current  ack\n  \
               new      reject: no\n  \
               answer: current ack, new reject\n  \
               body: - current, + new\n    - a\n    + b\n"
        );
    }
}
