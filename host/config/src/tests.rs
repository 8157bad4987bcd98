//! Tests of the loader as a whole; the golden files in `tests/config` show its reports.

mod arbitrary;
mod included;

use std::time::Duration;

use hive_core::policy::{OnError, Schedule};

use super::plan::{
    Argument, ConnectionPlan, DelayQueues, Instances, LogFormat, QueueKind, StreamOffset,
    StreamPlan,
};
use super::*;

const MINIMAL: &str = "
    [components.orders]
    path = 'orders.wasm'

    [consumers.orders]
    queue = 'orders'
    component = 'orders'
";

fn environment(variables: &[(&str, &str)]) -> Environment {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Environment {
        variables: variables.iter().map(own).collect(),
        hostname: "machine".to_owned(),
        ..Environment::default()
    }
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_text(Path::new("dir/hive.toml"), text, &environment(variables))
}

/// The plan of a file that has nothing wrong and nothing odd.
fn plan(text: &str, variables: &[(&str, &str)]) -> Plan {
    let loaded = load_with(text, variables).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        loaded.warnings.is_empty(),
        "{}",
        render(&loaded.warnings, false)
    );
    loaded.plan
}

/// The connection `main` of the minimal file with `connections` before it.
fn main_of(connections: &str, variables: &[(&str, &str)]) -> ConnectionPlan {
    plan(&format!("{connections}{MINIMAL}"), variables).connections["main"].clone()
}

#[test]
fn the_smallest_file_has_every_default() {
    let plan = plan(MINIMAL, &[]);
    assert_eq!(&*plan.host.name, "machine");
    assert_eq!(plan.host.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(
        (plan.host.log.as_str(), plan.host.log_format),
        ("info", LogFormat::Text)
    );

    let main = &plan.connections["main"];
    assert_eq!(
        (main.endpoints[0].host.as_str(), main.endpoints[0].port),
        ("localhost", 5672)
    );
    assert_eq!(main.vhost, "/");
    assert_eq!(main.heartbeat, Duration::from_secs(10));
    assert_eq!(main.connect_timeout, Duration::from_secs(10));
    assert_eq!(main.reconnect.first, Duration::from_millis(100));
    assert_eq!(main.reconnect.max, Duration::from_secs(30));
    assert_eq!(main.reconnect.attempts, None);
    assert!(main.tls.is_none());

    let component = &plan.components["orders"];
    assert_eq!(component.path, Path::new("dir/orders.wasm"));
    assert_eq!(
        component.instances,
        Instances::Reuse {
            after: None,
            above: None,
            idle: Some(Duration::from_secs(300))
        }
    );
    assert_eq!(component.memory, 64 << 20);
    assert_eq!(component.timeout, Duration::from_secs(5));
    assert_eq!(component.max_publications, 1000);
    assert_eq!(component.max_answer, 16 << 20);
    assert_eq!(component.log_lines, 100);

    let consumer = &plan.consumers["orders"];
    assert_eq!(&*consumer.connection, "main");
    assert_eq!((consumer.prefetch, consumer.concurrency), (256, 1));
    assert_eq!(consumer.least_prefetch, 1);
    assert_eq!(consumer.retry.limit, 15);
    assert_eq!(consumer.retry.schedule, Some(Schedule::Patient));
    assert_eq!(consumer.retry.delays.len(), 7);
    assert_eq!(consumer.delay_queues, DelayQueues::Shared);
    assert_eq!(&*consumer.dead_letter, "orders.dead");
}

#[test]
fn every_key_reaches_the_plan() {
    let text = r#"
        [host]
        name = "orders-a"
        log_format = "json"

        [connections.backup]
        url = "amqps://u:p@b:1/v"

        [exchanges.audit]
        connection = "backup"
        type = "headers"
        bindings = [{ exchange = "all", arguments = { x-match = "any" } }]

        [queues.audit]
        connection = "backup"
        dead_letter_exchange = ""
        dead_letter_routing_key = "d"
        message_ttl = "1m30s"
        expires = "1h"
        max_length = 9
        delivery_limit = 50
        arguments = { z = [1, true], a = { deep = 1.5 } }
        bindings = [{ exchange = "audit", routing_key = "k" }]

        [queues.mine]
        connection = "backup"
        exclusive = true

        [components.audit]
        path = "/opt/audit.wasm"
        build = "make"
        recycle_after = 7
        memory = "1GiB"
        max_publications = 5
        max_answer = "1MiB"
        log_lines = 0
        config = { currency = "EUR", area = "${AREA}" }
        allow = { env = ["TZ", "UNSET"] }

        [consumers.audit]
        queue = "audit"
        component = "audit"
        connection = "backup"
        concurrency = 300
        retry = { limit = 0, delays = ["1s", "5s"], dead_letter = "bin" }
    "#;
    let plan = plan(text, &[("AREA", "north"), ("TZ", "UTC")]);
    assert_eq!(&*plan.host.name, "orders-a");
    assert_eq!(plan.host.log_format, LogFormat::Json);

    let backup = &plan.connections["backup"];
    assert!(backup.tls.is_some());
    assert_eq!(backup.password.expose_secret(), "p");
    let exchange = &backup.topology.exchanges[0];
    assert_eq!(
        (exchange.kind.as_str(), exchange.durable),
        ("headers", true)
    );
    assert_eq!(exchange.bindings[0].routing_key, "");
    let match_any = ("x-match".to_owned(), Argument::Text("any".to_owned()));
    assert_eq!(exchange.bindings[0].arguments, [match_any]);

    let [audit, mine] = backup.topology.queues.as_slice() else {
        panic!("two queues, in the order of the file");
    };
    assert_eq!(
        (audit.kind, mine.kind),
        (QueueKind::Quorum, QueueKind::Classic)
    );
    let names: Vec<_> = audit
        .arguments
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let keyed = [
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-max-length",
    ];
    let timed = ["x-expires", "x-message-ttl", "x-delivery-limit"];
    assert_eq!(names, [&keyed[..], &timed, &["z", "a"]].concat());
    assert_eq!(audit.arguments[4].1, Argument::Integer(90_000));

    let component = &plan.components["audit"];
    assert_eq!(
        (
            component.max_publications,
            component.max_answer,
            component.log_lines
        ),
        (5, 1 << 20, 0)
    );
    assert_eq!(component.path, Path::new("/opt/audit.wasm"));
    assert_eq!(component.build.as_deref(), Some("make"));
    assert_eq!(
        component.instances,
        Instances::Reuse {
            after: Some(7),
            above: None,
            idle: Some(Duration::from_secs(300))
        }
    );
    assert_eq!(component.config[1], ("area".to_owned(), "north".to_owned()));
    assert_eq!(component.allow.env, [("TZ".to_owned(), "UTC".to_owned())]);

    let consumer = &plan.consumers["audit"];
    assert_eq!(consumer.prefetch, 300, "at least the concurrency");
    assert_eq!(consumer.retry.limit, 0);
    assert_eq!(&*consumer.dead_letter, "bin");
}

#[test]
fn a_prefetch_grows_where_none_is_written_and_the_queue_lets_it() {
    let asked = |consumer: &str, queue: &str| {
        let file = format!("{MINIMAL}\n{consumer}\n[queues.orders]\n{queue}");
        let plan = plan(&file, &[]);
        let consumer = &plan.consumers["orders"];
        (consumer.least_prefetch, consumer.prefetch)
    };
    assert_eq!(asked("concurrency = 4", ""), (4, 256));
    assert_eq!(asked("concurrency = 300", ""), (300, 300));
    assert_eq!(asked("prefetch = 50", ""), (50, 50));
    let budget = "prefetch = 50\nconcurrency = 4\nmax_bytes_in_flight = '8MiB'";
    assert_eq!(asked(budget, ""), (1, 50));
    let batch = "concurrency = 2\nbatch = { size = 100, wait = '1s' }";
    assert_eq!(asked(batch, ""), (200, 256));
    assert_eq!(asked("", "type = 'stream'"), (256, 256));
    let single = "arguments = { x-single-active-consumer = true }";
    assert_eq!(asked("concurrency = 4", single), (16, 16));
    assert_eq!(asked("concurrency = 40", single), (40, 40));
    // An order that a second consumer beside the first would disturb.
    let ordered = "ordered_by = 'routing-key'";
    assert_eq!(asked(ordered, ""), (1, 256));
    for may_go in ["auto_delete = true\ntype = 'classic'", "passive = true"] {
        assert_eq!(asked(ordered, may_go), (16, 16), "{may_go}");
        assert_eq!(asked("", may_go), (1, 256), "{may_go}");
    }
}

#[test]
fn the_environment_names_the_broker_where_the_file_does_not() {
    let variables = [("RABBITMQ_URL", "amqp://u:p@rabbit/v")];
    assert_eq!(main_of("", &variables).endpoints[0].host, "rabbit");
    assert_eq!(main_of("[connections.main]", &variables).vhost, "v");
    let named = "[connections.main]\nurl = 'amqp://here'\n";
    assert_eq!(main_of(named, &variables).endpoints[0].host, "here");
    assert_eq!(
        main_of("", &[("RABBITMQ_URL", "")]).endpoints[0].host,
        "localhost"
    );

    let problems = load_with(MINIMAL, &[("RABBITMQ_URL", "amqp://u:s3cret@h/")]).unwrap_err();
    let told: Vec<_> = problems.iter().map(|p| (p.key(), p.line())).collect();
    assert_eq!(told, [("RABBITMQ_URL", None)]);
    assert!(!format!("{problems:?}{problems}").contains("s3cret"));
}

#[test]
fn the_variable_wins_over_the_url_and_the_url_over_the_key() {
    let keyed = "[connections.main]\nheartbeat = '20s'\n";
    let both = "[connections.main]\nheartbeat = '20s'\nurl = 'amqp://h?heartbeat=30'\n";
    let cases = [
        (keyed, "", 20),
        (both, "", 30),
        (both, "40", 40),
        (both, "1m", 60),
        (both, "0", 0),
    ];
    for (text, variable, seconds) in cases {
        let heartbeat = main_of(text, &[("RABBITMQ_HEARTBEAT", variable)]).heartbeat;
        assert_eq!(heartbeat, Duration::from_secs(seconds), "{text} {variable}");
    }
    assert!(load_with(MINIMAL, &[("RABBITMQ_HEARTBEAT", "often")]).is_err());
}

#[test]
fn rust_log_wins_over_the_file() {
    let text = format!("[host]\nlog = 'warn'\n{MINIMAL}");
    assert_eq!(plan(&text, &[]).host.log, "warn");
    assert_eq!(plan(&text, &[("RUST_LOG", "debug")]).host.log, "debug");
}

#[test]
fn the_variable_of_the_log_format_wins_over_the_file() {
    let text = format!("[host]\nlog_format = 'json'\n{MINIMAL}");
    let format = |text: &str, value: &str| {
        let variables = [("HIVE_LOG_FORMAT", value)];
        plan(text, &variables).host.log_format
    };
    assert_eq!(format(MINIMAL, "json"), LogFormat::Json);
    assert_eq!(format(&text, "text"), LogFormat::Text);
    assert_eq!(format(&text, ""), LogFormat::Json);
    let problems = load_with(MINIMAL, &[("HIVE_LOG_FORMAT", "JSON")]).unwrap_err();
    let problems = problems.render(false);
    assert!(problems.contains("HIVE_LOG_FORMAT"), "{problems}");
}

#[test]
fn secrets_are_read_from_files_beside_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let cert = include_str!("../tests/config/tls/orders.pem");
    let secret = include_str!("../tests/config/tls/orders.key");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("url", "amqps://u:s3cret@rabbit/v\n");
    write("cert.pem", cert);
    write("client.key", secret);
    for key in ["client.key", "file:client.key", "${KEY}"] {
        let tls = format!("tls = {{ cert = 'cert.pem', key = '{key}' }}");
        let text = format!("[connections.main]\nurl = 'file:url'\n{tls}\n{MINIMAL}");
        let environment = environment(&[("KEY", secret)]);
        let loaded = load_text(&dir.path().join("hive.toml"), &text, &environment).unwrap();
        let main = &loaded.plan.connections["main"];
        assert_eq!(main.password.expose_secret(), "s3cret");
        assert!(main.tls.as_ref().unwrap().has_identity);
        let told = format!("{:?}", loaded.plan);
        let secret = secret.lines().nth(1).unwrap();
        assert!(!told.contains("s3cret") && !told.contains("PRIVATE") && !told.contains(secret));
    }
}

#[test]
fn a_stream_is_read_as_the_file_says_or_as_is_safest() {
    let stream = |keys: &str| {
        let file = format!(
            "[queues.events]\ntype = \"stream\"\n[components.c]\npath = \"c.wasm\"\n\
             [consumers.events]\nqueue = \"events\"\ncomponent = \"c\"\n{keys}"
        );
        let mut plan = plan(&file, &[]);
        assert!(plan.uses_the_store());
        let consumer = plan.consumers.remove("events").unwrap();
        consumer.stream.unwrap()
    };
    let default = StreamPlan {
        offset: StreamOffset::Next,
        on_error: OnError::Stop,
        group: "events".into(),
    };
    assert_eq!(stream(""), default);
    for (written, offset) in [
        ("\"first\"", StreamOffset::First),
        ("\"last\"", StreamOffset::Last),
        ("\"next\"", StreamOffset::Next),
        ("0", StreamOffset::Number(0)),
        ("\"1970-01-02T00:00:00Z\"", StreamOffset::Time(86_400)),
    ] {
        let read = stream(&format!("stream = {{ offset = {written} }}"));
        assert_eq!(read.offset, offset, "{written}");
    }
    let skips = stream("stream = { on_error = \"skip\", group = \"g\" }");
    assert_eq!((skips.on_error, &*skips.group), (OnError::Skip, "g"));
}

/// What the retries of a consumer with these keys are, and where they wait; `queue` are keys of its queue.
fn retried(queue: &str, keys: &str) -> (Option<Schedule>, u32, u64, DelayQueues) {
    let text = format!(
        "[components.c]\npath = 'c.wasm'\n[queues.q]\n{queue}\n[consumers.x]\nqueue = 'q'\ncomponent = 'c'\n{keys}"
    );
    let plan = load_text(Path::new("hive.toml"), &text, &Environment::default());
    let plan = plan
        .unwrap_or_else(|problems| panic!("{text}\n{problems}"))
        .plan;
    let consumer = &plan.consumers["x"];
    let retry = &consumer.retry;
    (
        retry.schedule,
        retry.limit,
        retry.span().as_secs(),
        consumer.delay_queues,
    )
}

#[test]
fn a_schedule_is_a_word_or_a_key_and_gives_way_to_named_delays() {
    use super::plan::DelayQueues::{Own, Shared};
    let patient = Some(Schedule::Patient);
    for (keys, expected) in [
        ("", (patient, 15, 34_956, Shared)),
        ("retry = 'patient'", (patient, 15, 34_956, Shared)),
        ("retry = 'fast'", (Some(Schedule::Fast), 5, 30, Shared)),
        ("retry = 'none'", (Some(Schedule::None), 0, 0, Own)),
        ("retry.limit = 3", (patient, 3, 36, Shared)),
        ("retry.limit = 0", (patient, 0, 0, Own)),
        (
            "retry = { schedule = 'fast', limit = 6 }",
            (Some(Schedule::Fast), 6, 45, Shared),
        ),
        (
            "retry.dead_letter = 'graves'",
            (patient, 15, 34_956, Shared),
        ),
        ("retry.queues = 'own'", (patient, 15, 34_956, Own)),
        ("retry.delays = ['10s']", (None, 15, 150, Own)),
        (
            "retry = { delays = ['10s'], queues = 'shared' }",
            (None, 15, 150, Shared),
        ),
    ] {
        assert_eq!(retried("", keys), expected, "{keys}");
    }
}

#[test]
fn a_queue_that_refuses_messages_or_goes_away_shares_nothing_by_default() {
    let queues = |queue: &str| retried(queue, "").3;
    for own in [
        "arguments = { x-overflow = 'reject-publish' }",
        "type = 'classic'\narguments = { x-overflow = 'reject-publish-dlx', x-max-length = 5 }",
        "auto_delete = true",
        "exclusive = true",
        "durable = false",
        "expires = '1h'",
        "arguments = { x-expires = 1000 }",
    ] {
        assert_eq!(queues(own), DelayQueues::Own, "{own}");
    }
    // The oldest message makes room: it takes every other.
    for shared in [
        "",
        "max_length = 5",
        "arguments = { x-overflow = 'drop-head' }",
    ] {
        assert_eq!(queues(shared), DelayQueues::Shared, "{shared}");
    }
}
