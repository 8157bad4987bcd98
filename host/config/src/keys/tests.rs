//! Every key, one by one: it is read with the default that it declares, and a reload sees its change.

use std::path::Path;

use super::{Key, ROOT, Shape, Unset};
use crate::plan::Plan;
use crate::{Environment, load_text};

/// One key of a section.
struct Case {
    section: &'static Key,
    key: &'static Key,
    /// Within the section, as in `retry.limit`; `[]` stands for an element of an array.
    path: String,
}

/// Every key that is not a table itself.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for section in ROOT {
        if let Shape::Table(keys) | Shape::Named(keys) = section.shape {
            gather(section, keys, "", &mut all);
        }
    }
    assert!(all.len() > 80, "only {} keys", all.len());
    all
}

/// The name of a table within a section that has tables under names.
const NAMED: &str = "'POST /a'";

fn gather(section: &'static Key, keys: &'static [Key], before: &str, all: &mut Vec<Case>) {
    for key in keys {
        let path = format!("{before}{}", key.name);
        match &key.shape {
            Shape::Table(keys) => gather(section, keys, &format!("{path}."), all),
            Shape::Named(keys) => gather(section, keys, &format!("{path}.{NAMED}."), all),
            Shape::List(Shape::Table(keys)) => gather(section, keys, &format!("{path}[]."), all),
            shape => {
                if let Shape::Short(_, keys) = shape {
                    gather(section, keys, &format!("{path}."), all);
                }
                all.push(Case { section, key, path });
            }
        }
    }
}

/// What else has to be in its table, or in the file, for a key to have a meaning.
const NEEDED: &[(&str, &str)] = &[
    ("exchanges.bindings[].", "exchange = 'e'"),
    ("queues.bindings[].", "exchange = 'e'"),
    (
        "queues.dead_letter_routing_key",
        "dead_letter_exchange = ''",
    ),
    ("components.", "path = 'c.wasm'"),
    ("components.allow.dirs[].", "host = 'src'\nguest = '/g'"),
    ("connections.tls.", "url = 'amqps://h'"),
    (
        "connections.tls.cert",
        "tls.key = 'tests/config/tls/orders.key'",
    ),
    (
        "connections.tls.key",
        "tls.cert = 'tests/config/tls/orders.pem'",
    ),
    ("consumers.", "queue = 'q'\ncomponent = 'c'"),
    (
        "consumers.scale.",
        "scale.max = 90\nscale.messages_per_instance = 9",
    ),
    ("consumers.ordered_retry", "ordered_by = 'routing-key'"),
    ("consumers.rate.", "rate.limit = '10/s'"),
    (
        "consumers.concurrency_by.",
        "concurrency_by.key = 'routing-key'\nconcurrency_by.limit = 9",
    ),
    (
        "consumers.rate_by.",
        "rate_by.key = 'routing-key'\nrate_by.rate = '10/s'",
    ),
    ("consumers.pause_on.", "pause_on.failure_ratio = 0.5"),
    ("consumers.dedup.", "dedup.key = 'body'"),
    ("consumers.publish_dedup.", "publish_dedup.key = 'body'"),
    ("consumers.batch.", "batch.size = 2\nbatch.wait = '1s'"),
    ("consumers.routes[].when", "ack = true"),
    ("consumers.routes[].publish.", "publish.exchange = 'e'"),
    ("consumers.routes[].retry.delay", "retry.reason = 'later'"),
    (
        "consumers.otherwise",
        "routes = [{ when = 'redelivered', ack = true }]",
    ),
    (
        "consumers.schema.",
        "schema.body = 'tests/config/schemas/order.json'",
    ),
    ("consumers.schema.max_decoded", "schema.decode = true"),
    ("consumers.stream.offset", "stream.group = 'g'"),
    ("consumers.stream.on_error", "stream.group = 'g'"),
    ("consumers.stream.group", "stream.offset = 'first'"),
    (
        "http.",
        "listen = '127.0.0.1:1'\nroutes.'POST /a'.exchange = ''\nroutes.'POST /a'.routing_key = 'k'",
    ),
    (
        "http.tls.",
        "tls.cert = 'tests/config/tls/orders.pem'\ntls.key = 'tests/config/tls/orders.key'",
    ),
    (
        "http.routes.'POST /a'.concurrency",
        "routes.'POST /a'.component = 'c'",
    ),
    (
        "http.routes.'POST /a'.publish_dedup.",
        "routes.'POST /a'.publish_dedup.period = '5s'\nroutes.'POST /a'.publish_dedup.max_keys = 5",
    ),
    (
        "http.routes.'POST /a'.rate.",
        "routes.'POST /a'.rate.limit = '10/s'",
    ),
    (
        "schedules.",
        "cron = '0 3 * * *'\npublish.exchange = 'e'\npublish.routing_key = 'k'",
    ),
    ("store.url", "kind = 'redis'"),
    ("store.prefix", "kind = 'redis'\nurl = 'redis://h'"),
    ("store.tls.", "kind = 'redis'\nurl = 'rediss://h'"),
    ("store.tls.cert", "tls.key = 'tests/config/tls/orders.key'"),
    ("store.tls.key", "tls.cert = 'tests/config/tls/orders.pem'"),
];

/// Keys in whose place another one is written otherwise.
const INSTEAD: &[(&str, &str)] = &[("consumers.queues", "queue")];

/// Two values of keys whose shape does not say which there are. An empty one: neither the key is set nor what it needs.
const VALUES: &[(&str, [&str; 2])] = &[
    ("host.admin", ["'off'", "'127.0.0.1:1'"]),
    (
        "host.admin_token",
        ["'0123456789abcdef'", "'0123456789abcdeg'"],
    ),
    (
        "host.admin_viewer_token",
        ["'0123456789abcdeh'", "'0123456789abcdei'"],
    ),
    ("host.log", ["'warn'", "'debug'"]),
    ("connections.url", ["'amqp://u:p@h'", "'amqp://u:q@h'"]),
    (
        "connections.management",
        ["'http://u:p@h'", "'http://u:q@h'"],
    ),
    ("connections.tls.ca", ["'tests/config/tls/orders.pem'", ""]),
    (
        "connections.tls.cert",
        ["'tests/config/tls/orders.pem'", ""],
    ),
    ("connections.tls.key", ["'tests/config/tls/orders.key'", ""]),
    ("exchanges.connection", ["'main'", "'other'"]),
    ("exchanges.type", ["'fanout'", "'topic'"]),
    ("queues.connection", ["'main'", "'other'"]),
    ("host.group", ["'one'", "'two'"]),
    ("components.sha256", [ZEROS, ONES]),
    ("components.allow.env", ["['ONE']", "['TWO']"]),
    ("components.allow.http", ["['a']", "['b']"]),
    ("components.allow.dirs[].host", ["'src'", "'tests'"]),
    ("components.allow.dirs[].guest", ["'/a'", "'/b'"]),
    ("components.allow.keyvalue", ["['a']", "['b']"]),
    ("components.allow.publish", ["['a:b']", "[]"]),
    (
        "components.allow.blobstore",
        ["{ a = 's3://bucket/a' }", "{ a = 's3://bucket/b' }"],
    ),
    ("consumers.component", ["'c'", "'d'"]),
    (
        "consumers.routes[].when",
        ["'redelivered'", "'attempt > 1'"],
    ),
    ("consumers.routes[].retry", ["'later'", "'much later'"]),
    ("consumers.routes[].ack", ["true", ""]),
    (
        "consumers.routes[].publish.headers",
        ["{ a = '1' }", "{ a = '2' }"],
    ),
    ("consumers.connection", ["'main'", "'other'"]),
    ("consumers.ordered_by", ["'routing-key'", "'header:a'"]),
    ("consumers.rate", ["'1/s'", "'2/s'"]),
    ("consumers.rate.limit", ["'1/s'", "'2/s'"]),
    (
        "consumers.concurrency_by.key",
        ["'routing-key'", "'header:a'"],
    ),
    ("consumers.rate_by.key", ["'routing-key'", "'header:a'"]),
    ("consumers.rate_by.rate", ["'1/s'", "'2/s'"]),
    ("consumers.batch.by", ["'routing-key'", "'header:a'"]),
    ("consumers.retry", ["'none'", "'fast'"]),
    ("consumers.retry.delays", ["['1s']", "['2s']"]),
    (
        "consumers.schema.body",
        [
            "'tests/config/schemas/order.json'",
            "'tests/config/schemas/invoice.json'",
        ],
    ),
    (
        "consumers.schema.publications",
        [
            "{ 'a:b' = 'tests/config/schemas/order.json' }",
            "{ 'a:*' = 'tests/config/schemas/order.json' }",
        ],
    ),
    ("consumers.dedup.key", ["'body'", "'message-id'"]),
    ("consumers.publish_dedup.key", ["'body'", "'message-id'"]),
    (
        "http.tls.cert",
        [
            "'tests/config/tls/orders.pem'",
            "'tests/config/tls/renewed.pem'",
        ],
    ),
    ("http.tls.key", ["'tests/config/tls/orders.key'", ""]),
    ("http.tls.client_ca", ["'tests/config/tls/orders.pem'", ""]),
    ("http.listen", ["'127.0.0.1:1'", "'127.0.0.1:2'"]),
    ("http.routes.'POST /a'.connection", ["'main'", "'other'"]),
    ("http.routes.'POST /a'.component", ["'c'", "'d'"]),
    ("http.routes.'POST /a'.concurrency", ["5", "6"]),
    ("components.allow.request", ["[':a.*']", "[':b.*']"]),
    (
        "http.routes.'POST /a'.headers",
        ["{ a = '1' }", "{ a = '2' }"],
    ),
    ("http.routes.'POST /a'.accept", ["['json']", "['raw']"]),
    ("http.routes.'POST /a'.status", ["200", "201"]),
    (
        "http.routes.'POST /a'.token",
        ["'0123456789abcdef'", "'0123456789abcdeg'"],
    ),
    ("http.routes.'POST /a'.rate", ["'1/s'", "'2/s'"]),
    ("http.routes.'POST /a'.rate.limit", ["'1/s'", "'2/s'"]),
    (
        "http.routes.'POST /a'.cors",
        ["['https://a']", "['https://b']"],
    ),
    ("schedules.cron", ["'0 3 * * *'", "'0 4 * * *'"]),
    ("schedules.timezone", ["'UTC'", "'Europe/Berlin'"]),
    ("schedules.connection", ["'main'", "'other'"]),
    ("schedules.publish.body", ["'1'", "'2'"]),
    ("schedules.publish.headers", ["{ a = '1' }", "{ a = '2' }"]),
    ("store.tls.ca", ["'tests/config/tls/orders.pem'", ""]),
    ("consumers.ack_timeout", ["'1h'", "'2h'"]),
    ("store.tls.cert", ["'tests/config/tls/orders.pem'", ""]),
    ("store.tls.key", ["'tests/config/tls/orders.key'", ""]),
    ("telemetry.otlp", ["'http://a:4318'", "'https://b'"]),
    ("store.url", ["'redis://:p@h'", "'redis://:q@h'"]),
];

const ZEROS: &str = "'0000000000000000000000000000000000000000000000000000000000000000'";
const ONES: &str = "'1111111111111111111111111111111111111111111111111111111111111111'";

impl Case {
    fn name(&self) -> String {
        format!("{}.{}", self.section.name, self.path)
    }

    /// Two values that it may have.
    fn values(&self) -> [String; 2] {
        let name = self.name();
        if let Some((_, values)) = VALUES.iter().find(|(key, _)| *key == name) {
            return values.map(str::to_owned);
        }
        match &self.key.shape {
            Shape::Boolean => ["true", "false"].map(str::to_owned),
            Shape::Integer(..) => ["20", "21"].map(str::to_owned),
            Shape::Offset => ["1", "2"].map(str::to_owned),
            Shape::Ratio => ["0.25", "0.75"].map(str::to_owned),
            Shape::Text | Shape::Name => ["'one'", "'two'"].map(str::to_owned),
            Shape::Duration(..) | Shape::DurationOr(..) => ["'20s'", "'21s'"].map(str::to_owned),
            Shape::Size(_) => ["'1MiB'", "'2MiB'"].map(str::to_owned),
            Shape::Arguments => ["{ a = 1 }", "{ a = 2 }"].map(str::to_owned),
            Shape::Texts => ["{ a = '1' }", "{ a = '2' }"].map(str::to_owned),
            Shape::Choice(words) => [0, 1].map(|at| format!("{:?}", words[at])),
            other => panic!("{name} needs two values: {}", other.wanted()),
        }
    }

    /// A file in which it has this value, or is not set.
    fn file(&self, value: Option<&str>) -> String {
        let name = self.name();
        let needed = NEEDED.iter().filter(|(of, _)| match of.ends_with('.') {
            true => name.starts_with(of),
            false => name == *of && value != Some(""),
        });
        let (array, inner) = match self.path.split_once("[].") {
            Some((array, inner)) => (Some(array), inner),
            None => (None, self.path.as_str()),
        };
        let instead = INSTEAD.iter().find(|(key, _)| *key == name);
        let is_replaced = |line: &str| {
            let mut keys = instead.map(|(_, key)| *key).into_iter().chain([inner]);
            keys.any(|key| line.starts_with(&format!("{key} =")))
        };
        let mut lines = Vec::new();
        let mut elements = Vec::new();
        for (of, text) in needed {
            for line in text.lines().filter(|line| !is_replaced(line)) {
                match of.contains("[].") {
                    true => elements.push(line.to_owned()),
                    false => lines.push(line.to_owned()),
                }
            }
        }
        let own = value.filter(|value| !value.is_empty());
        let own = own.map(|value| format!("{inner} = {value}"));
        match array {
            Some(_) if value == Some("") => {}
            Some(array) => {
                elements.extend(own);
                lines.push(format!("{array} = [{{ {} }}]", elements.join(", ")));
            }
            None => lines.extend(own),
        }
        if lines.iter().any(|line| line.starts_with("routes = ")) {
            lines.retain(|line| !line.starts_with("component = "));
        }
        let heading = match self.section.shape {
            Shape::Named(_) => format!("[{}.{}]", self.section.name, self.entry()),
            _ => format!("[{}]", self.section.name),
        };
        let rest = OTHERS.iter().filter(|other| !other.starts_with(&heading));
        let rest: Vec<&str> = rest.copied().collect();
        format!("{heading}\n{}\n{}", lines.join("\n"), rest.join("\n"))
    }

    fn entry(&self) -> &'static str {
        match self.section.name {
            "connections" => "main",
            "components" => "c",
            _ => "x",
        }
    }
}

/// The rest of every file.
const OTHERS: &[&str] = &[
    "[connections.main]\nmanagement = 'http://h'",
    "[connections.other]",
    "[components.c]\npath = 'c.wasm'",
    "[components.d]\npath = 'd.wasm'",
    "[consumers.x]\nqueue = 'q'\ncomponent = 'c'",
];

fn plan(case: &Case, value: Option<&str>) -> Plan {
    let variables = [("ONE", "1"), ("TWO", "2")];
    let environment = Environment {
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Environment::default()
    };
    let file = case.file(value);
    let loaded = load_text(Path::new("hive.toml"), &file, &environment);
    loaded
        .unwrap_or_else(|problems| panic!("{}\n{file}\n{problems}", case.name()))
        .plan
}

#[test]
fn every_key_is_read_with_the_default_that_it_declares() {
    let mut defaults = 0;
    for case in cases() {
        let Unset::Is(default) = case.key.unset else {
            continue;
        };
        defaults += 1;
        let (unset, written) = (plan(&case, None), plan(&case, Some(default)));
        assert_eq!(unset, written, "{} = {default}", case.name());
    }
    assert!(defaults > 30, "only {defaults} defaults");
}

#[test]
fn a_reload_sees_the_change_of_every_key() {
    for case in cases() {
        // Another key needs another certificate, in which the change is seen.
        if case.name() == "http.tls.key" {
            continue;
        }
        let [old, new] = case.values();
        let (old, new) = (plan(&case, Some(&old)), plan(&case, Some(&new)));
        let changes = crate::diff::diff(&old, &new);
        let name = case.name();
        if ["exchanges", "queues"].contains(&case.section.name) {
            assert!(!changes.topology.is_empty(), "{name}: {changes}");
            continue;
        }
        let sections = [
            &changes.connections,
            &changes.components,
            &changes.consumers,
            &changes.patterns,
            &changes.http_routes,
            &changes.schedules,
        ];
        let named = sections
            .iter()
            .flat_map(|section| section.changed.values().flatten());
        let at_once: Vec<_> = named
            .chain(&changes.host_at_once)
            .chain(&changes.http_at_once)
            .collect();
        let at_restart: Vec<_> = changes
            .host_at_restart
            .iter()
            .chain(&changes.store_at_restart)
            .chain(&changes.http_at_restart)
            .chain(&changes.telemetry_at_restart)
            .collect();
        let (told, other) = match case.key.at_restart || case.section.name == "store" {
            true => (at_restart, at_once),
            false => (at_once, at_restart),
        };
        let path = case.path.replace("[]", "");
        let path = path.rsplit(&format!("{NAMED}.")).next().unwrap_or_default();
        // A string in the place of a table is told as the keys of the table that it stands for.
        let inside = format!("{path}.");
        let is_short = matches!(case.key.shape, Shape::Short(..));
        let is_told = |path: &str| {
            let is = |key: &str| key == path || (is_short && key.starts_with(&inside));
            told.iter().any(|change| is(&change.key))
        };
        let mut own = told.iter().filter(|change| change.key == path);
        assert!(own.all(|change| change.idle == case.key.idle), "{name}");
        let tables = path.match_indices('.').map(|(at, _)| &path[..at]);
        assert!(
            is_told(path) || tables.into_iter().any(is_told),
            "{name}: {changes}"
        );
        assert!(other.is_empty(), "{name}: {changes}");
        if case.key.is_hidden() {
            assert!(
                told.iter().all(|change| change.values.is_none()),
                "{name}: {changes}"
            );
        }
    }
}
