//! Arbitrary text is reported without a panic, and without a password.

use proptest::prelude::*;

use super::*;

/// Lines of which some hive.toml might be made, sound ones and others.
fn line() -> impl Strategy<Value = String> {
    let headers = prop::sample::select(vec![
        "[host]",
        "[connections.main]",
        "[connections.main.tls]",
        "[exchanges.a]",
        "[queues.a]",
        "[queues.\"é\"]",
        "[components.a]",
        "[components.a.allow]",
        "[consumers.a]",
        "[consumers]",
        "[consumers.a.retry]",
        "[store]",
        "[[queues.a.bindings]]",
        "[consumers.b",
        "[x]",
    ])
    .prop_map(str::to_owned);
    let keys = prop::sample::select(vec![
        "name",
        "url",
        "heartbeat",
        "reconnect",
        "ca",
        "key",
        "type",
        "durable",
        "exclusive",
        "arguments",
        "bindings",
        "delivery_limit",
        "path",
        "memory",
        "config",
        "env",
        "http",
        "queue",
        "component",
        "connection",
        "prefetch",
        "concurrency",
        "retry",
        "delays",
        "batch",
        "consumers",
        "a.b",
        "\"\"",
    ]);
    let values = prop::sample::select(vec![
        "1",
        "-1",
        "0x7fffffffffffffffff",
        "1.5",
        "nan",
        "true",
        "1979-05-27",
        "\"\"",
        "\"a\"",
        "\"10s\"",
        "\"amqp://u:s3cret@h/\"",
        "\"amqp://u:s3cret\"",
        "\"${NONE}\"",
        "\"file:x\"",
        "[]",
        "[\"1s\", 2]",
        "{}",
        "{ a = 1 }",
        "{ exchange = \"a\" }",
        "\"é\\u0000\"",
        "",
        "'''a\ns3cret\n'''",
        "\"64MiB\"",
        "\"${\"",
        "\"classic\"",
    ]);
    let pairs = (keys, values).prop_map(|(key, value)| format!("{key} = {value}"));
    prop_oneof![1 => headers, 3 => pairs]
}

fn told(text: &str) -> String {
    match load_with(text, &[]) {
        Ok(loaded) => render(&loaded.warnings, true),
        Err(problems) => problems.render(true),
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,200}") {
        told(&text);
    }

    #[test]
    fn arbitrary_lines_never_panic_nor_tell_a_password(
        lines in prop::collection::vec(line(), 0..24),
    ) {
        let told = told(&lines.join("\n"));
        let url = told.lines().find(|line| line.contains("amqp://") && line.contains("s3cret"));
        prop_assert_eq!(url, None);
    }
}
