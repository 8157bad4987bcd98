//! Which consumers there are to be, for given queues.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::plan::{Discovered, Plan, QueueSeen, QueuesSeen, Seen};
use crate::{Environment, load_text};

const PATTERNS: &str = r#"
    [connections.main]
    url = "amqp://b"
    management = "http://b"
    [components.orders]
    path = "orders.wasm"
    [consumers.tenants]
    queues = "tenant.*"
    component = "orders"
    prefetch = 7
    retry = { dead_letter = "tenant.failed" }
    [consumers.wider]
    queues = "*"
    component = "orders"
    [consumers.one]
    queue = "tenant.one"
    component = "orders"
"#;

fn plan(text: &str) -> Plan {
    let loaded = load_text(Path::new("hive.toml"), text, &Environment::default());
    loaded.unwrap_or_else(|problems| panic!("{problems}")).plan
}

fn seen(queues: &[&str]) -> Seen {
    let queues: QueuesSeen = queues
        .iter()
        .map(|queue| (Arc::from(*queue), QueueSeen::default()))
        .collect();
    Seen::from([("main".into(), queues)])
}

fn discover(plan: &Plan, queues: &[&str], most_new: usize) -> Discovered {
    plan.discovered(&seen(queues), &plan.consumers, most_new)
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.consumers.keys().map(|name| &**name).collect()
}

#[test]
fn each_queue_has_one_consumer_with_the_settings_of_its_table() {
    let queues = [
        "tenant.a",
        "tenant.one",
        "tenant.failed",
        "other",
        "tenant.ü /\n",
    ];
    let found = discover(&plan(PATTERNS), &queues, 100);
    assert_eq!(
        names(&found.plan),
        [
            "one",
            "tenants/tenant.a",
            "tenants/tenant.ü /\n",
            "wider/other"
        ]
    );
    let consumer = &found.plan.consumers["tenants/tenant.a"];
    assert_eq!(
        (&*consumer.table, &*consumer.queue),
        ("tenants", "tenant.a")
    );
    assert_eq!(
        (consumer.prefetch, &*consumer.dead_letter),
        (7, "tenant.failed")
    );
    assert_eq!(
        &*found.plan.consumers["wider/other"].dead_letter,
        "other.dead"
    );
    let left_out: Vec<_> = found
        .left_out
        .iter()
        .map(|one| (&*one.table, &*one.queue))
        .collect();
    assert_eq!(
        left_out,
        [
            ("tenants", "tenant.failed"),
            ("tenants", "tenant.one"),
            ("wider", "tenant.a"),
            ("wider", "tenant.failed"),
            ("wider", "tenant.one"),
            ("wider", "tenant.ü /\n"),
        ]
    );
}

#[test]
fn what_is_gone_is_let_go_and_what_stays_is_as_it_was() {
    let before = discover(&plan(PATTERNS), &["tenant.a", "tenant.b"], 100).plan;
    let after = discover(&before, &["tenant.b"], 100).plan;
    assert_eq!(names(&after), ["one", "tenants/tenant.b"]);
    let name = "tenants/tenant.b";
    assert_eq!(before.consumers[name], after.consumers[name]);
    // A connection that was not looked at yet has no queues.
    let none = before.discovered(&BTreeMap::new(), &before.consumers, 100);
    assert_eq!(names(&none.plan), ["one"]);
}

#[test]
fn new_ones_begin_step_by_step_and_none_is_forgotten() {
    let queues: Vec<String> = (0..25).map(|number| format!("tenant.{number}")).collect();
    let queues: Vec<&str> = queues.iter().map(String::as_str).collect();
    let mut plan = plan(PATTERNS);
    let mut counts = Vec::new();
    loop {
        let found = discover(&plan, &queues, 10);
        counts.push((found.plan.consumers.len(), found.later));
        plan = found.plan;
        if found.later == 0 {
            break;
        }
    }
    assert_eq!(counts, [(11, 15), (21, 5), (26, 0)]);
}

#[test]
fn a_name_without_room_for_those_behind_it_is_left_out_and_says_why() {
    let text = PATTERNS.replace(
        "component = \"orders\"\n    [consumers.one]",
        "component = \"orders\"\n    retry = { delays = [\"1s\"] }\n    [consumers.one]",
    );
    let (long, longest) = ("q".repeat(224), "q".repeat(255));
    let found = discover(&plan(&text), &[&long, &longest], 100);
    let whys: Vec<_> = found.left_out.iter().map(|one| &*one.why).collect();
    assert!(whys[0].contains("delay queues: 224 bytes"), "{whys:?}");
    assert!(whys[1].contains("dead-letter queue: 260 bytes"), "{whys:?}");
}

#[test]
fn one_host_at_a_time_takes_a_queue_with_the_argument() {
    let text = PATTERNS.replace("prefetch = 7", "placement = \"single\"");
    let plan = plan(&text);
    let mut seen = seen(&["tenant.a", "tenant.b"]);
    seen.get_mut("main").unwrap().insert(
        "tenant.a".into(),
        QueueSeen {
            is_single: true,
            is_down: false,
        },
    );
    let found = plan.discovered(&seen, &plan.consumers, 100);
    assert!(found.plan.consumers.contains_key("tenants/tenant.a"));
    let of_table = found.left_out.iter().filter(|one| &*one.table == "tenants");
    let left_out: Vec<_> = of_table
        .map(|one| {
            (
                &*one.queue,
                one.is_fault,
                one.why.contains("x-single-active-consumer"),
            )
        })
        .collect();
    assert_eq!(left_out, [("tenant.b", true, true)]);
}

#[test]
fn a_command_names_a_consumer_by_its_queue_or_its_dead_letters() {
    let named = |name: &str| {
        let plan = plan(PATTERNS).with_consumer_of(name);
        names(&plan).contains(&"tenants/tenant.a")
    };
    assert!(named("tenants/tenant.a"));
    assert!(named("tenant.a"));
    assert!(!named("tenants/other"));
    let plan = plan(PATTERNS).with_consumer_of("other.dead");
    assert!(names(&plan).contains(&"wider/other"));
}
