//! Tests of the difference between two plans.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{Environment, load_text};

fn plan(text: &str) -> Plan {
    let loaded = load_text(Path::new("hive.toml"), text, &Environment::default());
    loaded.unwrap_or_else(|problems| panic!("{problems}")).plan
}

fn told(old: &str, new: &str) -> Vec<String> {
    let changes = diff(&plan(old), &plan(new));
    changes.to_string().lines().map(str::to_owned).collect()
}

const OLD: &str = r#"
    [host]
    name = "a"
    shutdown_timeout = "30s"

    [connections.main]
    url = "amqp://shop:hunter2@rabbit"
    [connections.gone]
    url = "amqp://rabbit"

    [exchanges.audit]
    [queues.orders]
    [queues.old]

    [components.orders]
    path = "orders.wasm"
    memory = "64MiB"
    config = { token = "hunter2" }

    [consumers.orders]
    queue = "orders"
    component = "orders"
    [consumers.old]
    queue = "old"
    component = "orders"
"#;

const NEW: &str = r#"
    [host]
    name = "b"
    shutdown_timeout = "1m"

    [connections.main]
    url = "amqp://shop:hunter3@rabbit"
    heartbeat = "20s"

    [queues.fresh]
    [exchanges.audit]
    type = "topic"
    [queues.orders]

    [components.orders]
    path = "orders.wasm"
    memory = "1GiB"
    config = { token = "hunter3" }
    [components.prices]
    path = "prices.wasm"

    [consumers.orders]
    queue = "orders"
    component = "orders"
    prefetch = 100
    retry = { limit = 3, delays = ["1s"] }

    [store]
    kind = "memory"
"#;

#[test]
fn each_change_is_one_line_without_a_secret() {
    assert_eq!(
        told(OLD, NEW),
        [
            r#"host: takes effect at a restart (name "a" -> "b")"#,
            r#"host: changed (shutdown_timeout "30s" -> "1m")"#,
            "connection gone: removed",
            r#"connection main: changed (url, heartbeat "10s" -> "20s")"#,
            "topology of connection main: exchange audit changed, queue fresh added, \
             queue old no longer declared",
            "component prices: added",
            r#"component orders: changed (memory "64MiB" -> "1024MiB", config)"#,
            "consumer old: removed",
            "consumer orders: changed (prefetch up to 256 -> 100, retry.schedule \"patient\" -> unset, \
             retry.limit 15 -> 3, retry.delays, retry.queues \"shared\" -> \"own\")",
            r#"store: takes effect at a restart (kind "embedded" -> "memory", path "hive.db" -> none)"#,
        ]
    );
    let changes = format!("{:?}", diff(&plan(OLD), &plan(NEW)));
    assert!(!changes.contains("hunter"), "{changes}");
}

#[test]
fn of_a_store_on_a_server_its_keys_are_told_and_no_secret() {
    let on = |store: &str| {
        format!(
            "[components.a]\npath = 'a'\n[consumers.a]\nqueue = 'a'\ncomponent = 'a'\n\
             [store]\nkind = 'redis'\n{store}"
        )
    };
    let plain = on("url = 'redis://:hunter2@h'");
    let encrypted = on("url = 'rediss://:hunter2@h'\nprefix = 'shop:'");
    let changed = |keys: &str| vec![format!("store: takes effect at a restart ({keys})")];
    assert_eq!(
        told(&plain, &encrypted),
        changed(r#"url, prefix "hive:" -> "shop:""#)
    );
    let trusting = format!("{encrypted}\ntls.ca = 'tests/config/tls/orders.pem'");
    assert_eq!(told(&encrypted, &trusting), changed("tls"));
    assert!(told(&trusting, &trusting).is_empty());
}

#[test]
fn the_way_back_adds_what_the_way_there_removed() {
    let there = diff(&plan(OLD), &plan(NEW));
    let back = diff(&plan(NEW), &plan(OLD));
    for (there, back) in [
        (&there.connections, &back.connections),
        (&there.components, &back.components),
        (&there.consumers, &back.consumers),
    ] {
        assert_eq!(there.added, back.removed);
        assert_eq!(there.removed, back.added);
        assert!(there.changed.keys().eq(back.changed.keys()));
    }
}

#[test]
fn a_certificate_is_compared_by_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let from = Path::new("tests/config/tls").join(from);
        std::fs::copy(from, dir.path().join(to)).unwrap();
    };
    let load = |tls: &str| {
        let text = format!(
            "[connections.main]\nurl = 'amqps://h'\ntls = {{ {tls} }}\n\
             [components.a]\npath = 'a'\n[consumers.a]\nqueue = 'a'\ncomponent = 'a'"
        );
        let path = dir.path().join("hive.toml");
        load_text(&path, &text, &Environment::default())
            .unwrap()
            .plan
    };
    copy("orders.pem", "cert.pem");
    copy("orders.pem", "same.pem");
    copy("orders.key", "key.pem");
    let plain = load("ca = 'cert.pem'");
    let renamed = load("ca = 'same.pem'");
    let identified = load("ca = 'cert.pem', cert = 'cert.pem', key = 'key.pem'");
    assert!(diff(&plain, &renamed).is_empty());
    let changes = diff(&plain, &identified);
    assert_eq!(changes.to_string(), "connection main: changed (tls)");
}

/// A file of which any part may be there or not, with one of two values. Each part is in the plan.
fn file() -> impl Strategy<Value = String> {
    let parts = [
        ("[host]", "", ""),
        ("name = 'n'", "", "1"),
        ("shutdown_timeout = '1", "s'", "m'"),
        ("[connections.main]", "", ""),
        ("url = 'amqp://h", "'", "/v'"),
        ("heartbeat = '1", "s'", "m'"),
        ("reconnect.attempts = ", "1", "2"),
        ("[connections.other]", "", ""),
        ("connect_timeout = '1", "s'", "m'"),
        ("[queues.one]", "", ""),
        ("max_length = ", "1", "2"),
        ("[exchanges.one]", "", ""),
        ("durable = ", "true", "false"),
        ("[components.c]\npath = 'c'", "", ""),
        ("memory = '64", "MiB'", "GiB'"),
        ("timeout = '1", "s'", "m'"),
        ("recycle_after = ", "1", "2"),
        ("config = { a = '", "1' }", "2' }"),
        ("[components.d]\npath = '", "d'", "e'"),
        ("[consumers.c]\nqueue = 'q'\ncomponent = 'c'", "", ""),
        ("prefetch = ", "10", "20"),
        ("concurrency = ", "2", "3"),
        ("retry.queues = '", "own'", "shared'"),
        ("retry.limit = ", "1", "2"),
        ("retry.delays = ['1", "s']", "m']"),
        ("retry.dead_letter = '", "d'", "e'"),
        (
            "[consumers.d]\nqueue = '",
            "q'\ncomponent = 'c'",
            "r'\ncomponent = 'c'",
        ),
        ("[consumers.s]\nqueue = 's'\ncomponent = 'c'", "", ""),
        (
            "scale = { max = 4, ",
            "messages_per_instance = 9 }",
            "target_wait = '2s' }",
        ),
        ("[store]", "", ""),
        ("path = '", "a'", "b'"),
    ];
    // The other parts that a valid file needs.
    let needed = |part: &str| part.starts_with('[') && !part.contains(".d]");
    let parts: Vec<_> = parts
        .into_iter()
        .map(|(part, one, other)| {
            let absent = match needed(part) || part == "name = 'n'" {
                true => format!("{part}{one}"),
                false => String::new(),
            };
            let (one, other) = match part {
                "name = 'n'" => ("name = 'n'".to_owned(), "name = 'm'".to_owned()),
                part => (format!("{part}{one}"), format!("{part}{other}")),
            };
            prop::sample::select(vec![absent, one, other])
        })
        .collect();
    parts.prop_map(|lines| lines.join("\n"))
}

/// The new plan, as far as `changes` say that it differs from the old one.
fn applied(changes: &Changes, old: &Plan, new: &Plan) -> Plan {
    fn take<T: Clone>(
        section: &Section,
        whole: &mut BTreeMap<Arc<str>, T>,
        new: &BTreeMap<Arc<str>, T>,
    ) {
        whole.retain(|name, _| !section.removed.contains(name));
        for name in section.added.iter().chain(section.changed.keys()) {
            whole.insert(Arc::clone(name), new[name].clone());
        }
    }
    let mut whole = old.clone();
    take(
        &changes.connections,
        &mut whole.connections,
        &new.connections,
    );
    take(&changes.components, &mut whole.components, &new.components);
    take(&changes.consumers, &mut whole.consumers, &new.consumers);
    for name in changes.topology.keys() {
        let connection = whole.connections.get_mut(name).unwrap();
        connection.topology = new.connections[name].topology.clone();
    }
    if !changes.host_at_restart.is_empty() || !changes.host_at_once.is_empty() {
        whole.host = new.host.clone();
    }
    if !changes.store_at_restart.is_empty() {
        whole.store = new.store.clone();
    }
    whole
}

proptest! {
    #[test]
    fn a_plan_does_not_differ_from_itself(text in file()) {
        let changes = diff(&plan(&text), &plan(&text));
        prop_assert!(changes.is_empty());
        prop_assert_eq!(changes.to_string(), "");
    }

    #[test]
    fn whatever_differs_is_named(old in file(), new in file()) {
        let (old, new) = (plan(&old), plan(&new));
        let changes = diff(&old, &new);
        prop_assert_eq!(changes.is_empty(), old == new);
        prop_assert_eq!(changes.to_string().is_empty(), old == new);
        prop_assert_eq!(applied(&changes, &old, &new), new);
    }
}
