//! The AsyncAPI document of `tests/asyncapi/hive.toml`, held against the official schema and against a golden file.
//! `SNAPSHOTS=overwrite cargo test -p hive-config --test asyncapi` writes the golden file anew.

use std::path::Path;

use hive_config::Environment;
use serde_json::Value;
use snapbox::{Assert, Data};

const FOLDER: &str = "tests/asyncapi";

fn document(name: &str) -> Value {
    let environment = Environment {
        hostname: "machine".to_owned(),
        ..Environment::default()
    };
    let file = Path::new(FOLDER).join(name);
    let loaded = hive_config::load(&file, &environment);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    hive_config::asyncapi(&loaded.plan)
}

/// What AsyncAPI's own schema says against a document.
fn faults(document: &Value) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(FOLDER).join("official/3.0.0.json"));
    let schema = serde_json::from_str(&text.unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults = validator.iter_errors(document);
    faults
        .map(|fault| format!("{}: {fault}", fault.instance_path))
        .collect()
}

/// Every reference in a value, but for data.
fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(target) if key == "$ref" => found.push(target),
                    _ if key == "enum" && value.is_array() => {}
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|one| references(one, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_as_it_was() {
    let assert = Assert::new().action_env("SNAPSHOTS").normalize_paths(false);
    let golden = Data::read_from(&Path::new(FOLDER).join("asyncapi.json"), None);
    assert.eq(format!("{:#}\n", document("hive.toml")), golden.raw());
}

#[test]
fn the_document_is_one_of_asyncapi() {
    for name in ["hive.toml", "smallest.toml"] {
        let document = document(name);
        assert_eq!(faults(&document), [""; 0], "{name}");
    }
    // The schema says no to what is none.
    let mut none = document("hive.toml");
    none["operations"]["receive.orders"]["action"] = "consume".into();
    assert!(!faults(&none).is_empty());
    let mut none = document("hive.toml");
    none["channels"]["queue.orders.placed"]["bindings"]["amqp"]["is"] = "topic".into();
    assert!(!faults(&none).is_empty());
}

#[test]
fn every_reference_leads_to_a_part_of_the_document() {
    let document = document("hive.toml");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for target in found {
        let pointer = target.strip_prefix('#');
        let there = pointer.and_then(|pointer| document.pointer(pointer));
        assert!(there.is_some(), "{target} leads nowhere");
    }
}

/// A body that the consumer would take matches what the document says of it, and the other way round.
#[test]
fn payloads_say_the_same_as_the_schemas_that_they_are_made_of() {
    let document = document("hive.toml");
    let mut payload = serde_json::json!({ "$ref": "#/components/schemas/order/schema" });
    payload["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    payload["components"] = document["components"].clone();
    let payload = jsonschema::validator_for(&payload).unwrap();
    let original = std::fs::read_to_string(Path::new(FOLDER).join("schemas/order.json")).unwrap();
    let contract = hive_contracts::Schema::read(
        &std::path::absolute(Path::new(FOLDER).join("schemas/order.json")).unwrap(),
        |path| std::fs::read(path),
    );
    let contract = contract.unwrap();
    assert!(original.contains("$id"));
    for (body, is_valid) in [
        (r#"{"id": "a", "lines": []}"#, true),
        (r#"{"id": "a", "lines": [{"sku": "b", "of": "a"}]}"#, true),
        (r#"{"id": "a", "lines": [{"sku": 1}]}"#, false),
        (r#"{"id": "a", "lines": [{"of": "b"}]}"#, false),
        (r#"{"id": "a", "lines": [], "next": {"id": 1}}"#, false),
        (
            r##"{"id": "a", "lines": [], "enum": {"$ref": "#/stays"}}"##,
            true,
        ),
    ] {
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(contract.check(body.as_bytes()).is_ok(), is_valid, "{body}");
        assert_eq!(payload.is_valid(&value), is_valid, "{body}");
    }
}

#[test]
fn no_secret_is_in_the_document() {
    let text = document("hive.toml").to_string();
    assert!(!text.contains("secret"), "{text}");
    for user in ["shop:", "far:", "far@"] {
        assert!(!text.contains(user), "{user}: {text}");
    }
    let file = std::fs::read_to_string(Path::new(FOLDER).join("hive.toml")).unwrap();
    assert_eq!(file.matches("a-secret-of").count(), 6);
}
