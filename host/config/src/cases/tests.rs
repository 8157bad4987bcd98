//! Test files that are read, and test files with faults.

use super::*;

const PLAN: &str = r#"
    [connections.main]
    url = "amqp://localhost"
    [queues.orders]
    [queues.batches]
    [components.pricing]
    path = "pricing.wasm"
    allow.blobstore = { prices = "s3://bucket/prices" }
    [components.archive]
    path = "archive.wasm"
    allow.blobstore = { old = "s3://bucket/old", new = "s3://bucket/new" }
    [consumers.orders]
    queue = "orders"
    component = "pricing"
    [consumers.batches]
    queue = "batches"
    component = "pricing"
    batch = { size = 10, wait = "1s" }
"#;

fn read(text: &str) -> Result<Cases, Problems> {
    let path = Path::new("hive.toml");
    let loaded = super::super::load_text(path, PLAN, &Environment::default()).unwrap();
    load_text(Path::new("a.test.toml"), text, &loaded.plan)
}

/// Line, key, message and remedy of every fault.
#[track_caller]
fn faults(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("it has faults");
    let told = problems.iter().map(|problem| {
        format!(
            "{}: `{}` {}; {}",
            problem.line().unwrap_or(0),
            problem.key(),
            problem.message(),
            problem.remedy()
        )
    });
    told.collect()
}

#[test]
fn a_case_takes_queue_and_component_from_its_consumer() {
    let cases = read(
        r#"
        [[component]]
        name = "priced"
        consumer = "orders"
        config = { currency = "EUR" }
        keyvalue.seen = { a = "1" }
        clock = "2026-11-28T12:00:00Z"
        message = { body-json = { id = 1, big = 1.5 }, attempt = 3, headers = { n = 1 } }
        [component.expect]
        action = "publish"
        log = ["exact", { contains = "part" }, { regex = "^r" }]
        time = "50ms"
        [[component.expect.publications]]
        routing-key = { regex = "^order" }
        mandatory = true
        headers = { a = { regex = "x" }, b = 1, c = { absent = true } }
        body-schema = { type = "object" }
        "#,
    )
    .unwrap();
    let case = &cases.components[0];
    assert_eq!((&**case.handler.name(), case.line), ("pricing", 2));
    assert_eq!(case.keyvalue[0].1, [("a".to_owned(), "1".to_owned())]);
    assert!(case.clock.is_some());
    let call = &case.calls[0];
    let (delivery, expected) = &call.deliveries[0];
    assert_eq!((&*delivery.queue, delivery.attempt.get()), ("orders", 3));
    assert_eq!(delivery.message.body, r#"{"big":1.5,"id":1}"#);
    assert!(!call.is_batch);
    assert_eq!(call.expect.log.len(), 3);
    assert_eq!(call.expect.time, Some(Duration::from_millis(50)));
    let publications = expected.publications.as_ref().unwrap();
    assert_eq!(publications[0].headers.len(), 3);
    assert_eq!(publications[0].values, [("mandatory", Value::from(true))]);
    assert!(matches!(publications[0].body, Some(BodyMatch::Schema(_))));
}

#[test]
fn a_consumer_of_batches_is_given_a_batch_of_one() {
    let cases = read("[[component]]\nname = 'b'\nconsumer = 'batches'\nmessage = {}\n").unwrap();
    assert!(cases.components[0].calls[0].is_batch);
}

#[test]
fn objects_are_those_of_the_containers_of_the_component() {
    let cases = read(
        r#"
        [[component]]
        name = "objects"
        component = "pricing"
        objects.prices = { "a/b.json" = { body-json = { n = 1 } }, c = "text", d = { body-base64 = "AAE=" }, e = {} }
        message = {}
        [component.expect]
        objects = [
            { name = "f" },
            { name = { regex = "g$" }, body-subset = { n = 1 } },
            { container = "prices", name = "h.gz", body-base64 = "AAE=" },
            { name = "i", absent = true },
        ]
        "#,
    )
    .unwrap();
    let case = &cases.components[0];
    let given = case.objects.iter();
    let given: Vec<(&str, &[u8])> = given.map(|one| (&*one.name, &*one.content)).collect();
    let expected: &[(&str, &[u8])] = &[
        ("a/b.json", br#"{"n":1}"#),
        ("c", b"text"),
        ("d", &[0, 1]),
        ("e", b""),
    ];
    assert_eq!(given, expected);
    let [any, unpacked, raw, absent] = &case.calls[0].expect.objects[..] else {
        panic!("{:?}", case.calls[0].expect);
    };
    assert!(matches!(any.content, ContentMatch::Any), "{any:?}");
    let (name, content) = (&unpacked.name, &unpacked.content);
    assert!(matches!(name, TextMatch::Matches(_)), "{name:?}");
    assert!(
        matches!(content, ContentMatch::Unpacked(BodyMatch::Subset(_))),
        "{content:?}"
    );
    assert!(matches!(raw.content, ContentMatch::Raw(_)), "{raw:?}");
    assert!(matches!(absent.content, ContentMatch::Absent));
    assert_eq!(any.container, "prices");
}

#[test]
fn objects_that_no_container_can_have_are_faults() {
    let told = faults(
        r#"
        [[component]]
        name = "one"
        component = "pricing"
        objects.price.a = "x"
        objects.prices = { b = { body = "x", body-json = 1 }, c = { body-base64 = "?" } }
        message = {}
        [[component]]
        name = "two"
        component = "archive"
        message = {}
        expect = { objects = [{ name = "a" }, { container = "old" }, { container = "new", name = "b", body = "x", absent = true }] }
        "#,
    );
    let expected = [
        "5: `component[0].objects.price` is not granted by `allow.blobstore` of the component: \"price\"; did you mean `prices`?",
        "6: `component[0].objects.prices.b.body-json` is a second body; keep one of them",
        "6: `component[0].objects.prices.c.body-base64`",
        "12: `component[1].expect.objects[0].container` is missing; `allow.blobstore` grants several: old, new",
        "12: `component[1].expect.objects[1].name` is missing",
        "12: `component[1].expect.objects[2].absent` cannot be combined with a content; keep `absent`, or the content",
    ];
    for (index, expected) in expected.iter().enumerate() {
        let told_here = told.get(index).map_or("nothing", |told| told.as_str());
        assert!(told_here.starts_with(expected), "{expected}\n{told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_recorded_delivery_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let recorded =
        r#"{"queue": "q", "body-base64": "AAE=", "message-id": "m", "attempt": 2, "dead": {}}"#;
    std::fs::write(folder.path().join("m.json"), recorded).unwrap();
    let text = "[[component]]\nname = 'r'\ncomponent = 'pricing'\nmessage = { from = 'm.json', body = 'x', attempt = 9 }\n\
                [[flow]]\nname = 'f'\n[[flow.steps]]\npublish = { from = 'm.json', routing-key = 'q', times = 3 }\n";
    let path = Path::new("hive.toml");
    let loaded = super::super::load_text(path, PLAN, &Environment::default()).unwrap();
    let cases = load_text(&folder.path().join("a.test.toml"), text, &loaded.plan).unwrap();
    let (delivery, _) = &cases.components[0].calls[0].deliveries[0];
    assert_eq!((&*delivery.queue, delivery.attempt.get()), ("q", 9));
    assert_eq!(delivery.message.body, "x");
    assert_eq!(delivery.message.properties.message_id.as_deref(), Some("m"));
    let Act::Publish(publication, 3) = &cases.flows[0].steps[0].act else {
        panic!("{:?}", cases.flows[0].steps[0]);
    };
    assert_eq!(publication.message.body, [0, 1].as_slice());
    assert_eq!(publication.routing_key, "q");
}

#[test]
fn every_fault_of_a_file_is_told_in_one_run() {
    let told = faults(
        r#"
        [[component]]
        name = "one"
        consumer = "ordrs"
        message = { bdy = "x", headers = { n = { bytes = "?" } } }
        [[component]]
        name = "one"
        component = "pricing"
        message = { body = "a", body-json = 1 }
        expect = { action = "ack", reason = "x", log = [{ regex = "(" }], time = 5 }
        [[component]]
        name = "three"
        component = "pricing"
        message = { attempt = 0, body-file = "nowhere" }
        expect = { action = "acked", publications = [{ body = "a", body-json = 1 }] }
        [[flow]]
        name = "four"
        [[flow.steps]]
        expect = { queue = "q" }
        [[flow.steps]]
        turn = "1s"
        publish = {}
        [[flow.steps]]
        expect = { queue = "q", count = 2, messages = [{}] }
        [[flow.steps]]
        expect = { queue = "q", count = 2, not-before = "2m" }
        [[flow]]
        name = "one"
        steps = []
        "#,
    );
    let expected = [
        "4: `component[0].consumer` is not a consumer of hive.toml: \"ordrs\"; did you mean `orders`?",
        "5: `component[0].message.bdy` is not a known key; did you mean `body`?",
        "5: `component[0].message.headers` \"n\" `bytes` is not base64",
        "7: `component[1].name` is the name of the case in line 3 too",
        "9: `component[1].message.body-json` is a second body; keep one of them",
        "10: `component[1].expect.reason` does not apply to the action \"ack\"",
        "10: `component[1].expect.log[0].regex` is no regular expression: unclosed group",
        "10: `component[1].expect.time` has no unit",
        "14: `component[2].message.attempt` must not be 0; write an integer from 1",
        "14: `component[2].message.body-file` cannot read nowhere",
        "15: `component[2].expect.action` cannot be \"acked\"",
        "15: `component[2].expect.publications[0].body-json` is a second expectation",
        "19: `flow[0].steps[0].expect.count` is missing; write `count`, or `messages`",
        "20: `flow[0].steps[1]` has 2 keys; write one of `publish`, `expect` and `turn`",
        "24: `flow[0].steps[2].expect.count` is 2, and `messages` has 1",
        "26: `flow[0].steps[3].expect.not-before` is longer than `within`; raise `within`",
        "28: `flow[1].name` is the name of the case in line 7 too",
        "29: `flow[1].steps` has no step; write one `[[flow.steps]]` at least",
    ];
    for (index, expected) in expected.iter().enumerate() {
        let told_here = told.get(index).map_or("nothing", |told| told.as_str());
        assert!(told_here.starts_with(expected), "{expected}\n{told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_case_without_a_consumer_needs_one_that_is_alone() {
    let told = faults("[[component]]\nname = 'x'\nmessage = {}\n");
    assert_eq!(
        told,
        ["1: `component[0].consumer` is missing; hive.toml has several: batches, orders"]
    );
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = crate::cases_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let takes = |text: &str| {
        let value: Value = toml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    let fine = "[[component]]\nname = 'x'\nmessage = { body-json = { a = 1 } }\nexpect = { log = ['a', { regex = 'b' }] }\n";
    assert!(takes(fine));
    let objects = "[[component]]\nname = 'x'\nmessage = {}\nobjects.a = { b = 'text', c = { body-json = 1 } }\n\
                   expect = { objects = [{ name = { regex = 'b' }, body = 'text' }] }\n";
    assert!(takes(objects));
    assert!(!takes("[[component]]\nmessage = {}\n"));
    assert!(!takes("[[component]]\nname = 'x'\nmesage = {}\n"));
    assert!(!takes(
        "[[component]]\nname = 'x'\nmessage = { attempt = 0 }\n"
    ));
}
