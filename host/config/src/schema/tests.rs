//! The schema against files that the loader takes, files that it refuses, and the documentation.

use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::*;

/// The faults of `value`, by the part of JSON Schema that our schema uses.
fn faults(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let fault = |what: &str| vec![format!("{place}: {what}")];
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice| faults(choice, value, place).is_empty();
        return match choices.iter().any(fits) {
            true => Vec::new(),
            false => {
                // What is wrong with it as a table is told too.
                let tables = choices
                    .iter()
                    .filter(|choice| choice["type"] == "object" && value.is_object());
                let inside = tables.flat_map(|choice| faults(choice, value, place));
                fault("is none of what it may be")
                    .into_iter()
                    .chain(inside)
                    .collect()
            }
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        return match words.contains(value) {
            true => Vec::new(),
            false => fault("is none of the words"),
        };
    }
    let is_of_type = match schema["type"].as_str().expect("each schema has a type") {
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type is called {other}"),
    };
    if !is_of_type {
        return fault("is of another type");
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().expect("TOML has no larger ones");
            let bound = |name: &str| schema[name].as_f64();
            let fits = bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
                && bound("exclusiveMinimum").is_none_or(|least| number > least);
            if fits {
                Vec::new()
            } else {
                fault("is out of range")
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let pattern = schema["pattern"].as_str();
            let pattern = pattern.map(|pattern| Regex::new(pattern).expect("it is one"));
            let fits = schema["minLength"]
                .as_u64()
                .is_none_or(|least| length >= least)
                && schema["maxLength"]
                    .as_u64()
                    .is_none_or(|most| length <= most)
                && pattern.is_none_or(|pattern| pattern.is_match(text));
            if fits {
                Vec::new()
            } else {
                fault("is written another way")
            }
        }
        Value::Array(elements) => {
            let of_each = elements.iter().enumerate();
            of_each
                .flat_map(|(index, one)| {
                    faults(&schema["items"], one, &format!("{place}[{index}]"))
                })
                .collect()
        }
        Value::Object(object) => of_object(schema, object, place),
        _ => Vec::new(),
    }
}

fn of_object(schema: &Value, object: &Map<String, Value>, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("names are strings");
        if !object.contains_key(name) {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, value) in object {
        let at = format!("{place}.{name}");
        let patterns = schema["patternProperties"].as_object();
        let matching = patterns.into_iter().flatten().find(|(pattern, _)| {
            let pattern = Regex::new(pattern).expect("it is one");
            pattern.is_match(name)
        });
        let known = schema["properties"].get(name);
        match known.or(matching.map(|(_, schema)| schema)) {
            Some(schema) => found.extend(faults(schema, value, &at)),
            None => match &schema["additionalProperties"] {
                Value::Bool(false) => found.push(format!("{at}: there is no such key")),
                Value::Null => {}
                schema => found.extend(faults(schema, value, &at)),
            },
        }
    }
    found
}

fn parsed(text: &str) -> Option<Value> {
    fn value(toml: toml::Value) -> Value {
        match toml {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(boolean) => boolean.into(),
            toml::Value::Datetime(date) => date.to_string().into(),
            toml::Value::Array(elements) => elements.into_iter().map(value).collect(),
            toml::Value::Table(table) => Value::Object(
                table
                    .into_iter()
                    .map(|(name, one)| (name, value(one)))
                    .collect(),
            ),
        }
    }
    text.parse::<toml::Table>()
        .ok()
        .map(|table| value(toml::Value::Table(table)))
}

fn checked(text: &str) -> Vec<String> {
    faults(&schema(), &parsed(text).expect("it is TOML"), "")
}

fn above(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn tomls(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect()
}

#[test]
fn every_example_conforms() {
    let folders = std::fs::read_dir(above("examples")).expect("it is there");
    let files = folders.map(|folder| folder.expect("it can be read").path().join("hive.toml"));
    let files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        assert_eq!(checked(&text), Vec::<String>::new(), "{}", file.display());
    }
}

/// The answers of the loader are in the golden files: a file it takes has no `error` in its own.
#[test]
fn what_the_loader_takes_conforms() {
    let mut taken = 0;
    for file in tomls(&above("host/config/tests/config")) {
        let answer = std::fs::read_to_string(file.with_extension("txt")).expect("it is there");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if answer.contains("error") {
            continue;
        }
        taken += 1;
        assert_eq!(checked(&text), Vec::<String>::new(), "{}", file.display());
    }
    assert!(taken >= 5, "only {taken} are taken");
}

#[test]
fn what_is_misspelt_or_out_of_range_does_not_conform() {
    const GOOD: &str = "
        [components.a]
        path = 'a.wasm'
        memory = '1 MiB'
        timeout = '${TIMEOUT:-5s}'
        [consumers.a]
        queue = 'q'
        component = 'a'
        prefetch = 10
        rate = '5/s'
        ordered_by = 'header:a'
        pause_on = { failure_ratio = 1 }
        stream = { offset = 0 }
        retry = { delays = ['1m30s'] }
        dedup = { key = ['json:/a'], period = 'forever' }
    ";
    assert_eq!(checked(GOOD), Vec::<String>::new());
    let changes = [
        ("path = 'a.wasm'", "", "path is missing"),
        ("prefetch", "prefetsh", "prefetsh: there is no such key"),
        ("prefetch = 10", "prefetch = 0", "prefetch: is out of range"),
        (
            "prefetch = 10",
            "prefetch = 70000",
            "prefetch: is out of range",
        ),
        (
            "prefetch = 10",
            "prefetch = '10'",
            "prefetch: is of another type",
        ),
        ("'1m30s'", "'30s1m'", "delays[0]: is written another way"),
        ("'1m30s'", "'10'", "delays[0]: is written another way"),
        ("'1m30s'", "''", "delays[0]: is written another way"),
        ("{ delays = ['1m30s'] }", "'slow'", "retry: is none of what"),
        (
            "delays = ['1m30s']",
            "schedule = 'slow'",
            "schedule: is none of what",
        ),
        (
            "delays = ['1m30s']",
            "queues = 'mine'",
            "queues: is none of what",
        ),
        ("'1 MiB'", "'1 Mib'", "memory: is written another way"),
        ("'forever'", "'ever'", "period: is none of what it may be"),
        ("failure_ratio = 1", "failure_ratio = 1.1", "out of range"),
        (
            "failure_ratio = 1",
            "of_last = 1",
            "failure_ratio is missing",
        ),
        ("'5/s'", "{ burst = 1 }", "rate: is none"),
        ("'5/s'", "'100'", "rate: is none"),
        ("'5/s'", "'0/s'", "rate: is none"),
        ("'5/s'", "{ limit = '5/d' }", "rate: is none"),
        ("'header:a'", "'header:'", "ordered_by: is written another"),
        (
            "'header:a'",
            "'message-id'",
            "ordered_by: is written another",
        ),
        (
            "'1 MiB'",
            "'1 MiB'\nsha256 = 'ab'",
            "sha256: is written another",
        ),
        ("offset = 0", "offset = -1", "offset: is none"),
        ("offset = 0", "on_error = 'stopp'", "on_error: is none"),
        ("[components.a]", "[components.'']", "no such key"),
        (
            "[components.a]",
            "[component.a]",
            "component: there is no such key",
        ),
    ];
    for (written, instead, wanted) in changes {
        assert!(GOOD.contains(written), "{written}");
        let told = checked(&GOOD.replacen(written, instead, 1)).join("\n");
        assert!(told.contains(wanted), "{instead} is told as {told:?}");
    }
}

#[test]
fn every_key_says_what_it_means_and_its_default() {
    fn look(keys: &[Key], path: &str) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            assert!(key.meaning.ends_with('.'), "{path}: {}", key.meaning);
            if let Shape::Table(keys) | Shape::Named(keys) | Shape::Short(_, keys) = &key.shape {
                look(keys, &path);
            }
        }
    }
    look(ROOT, "");
}

#[test]
fn editors_see_the_default_and_no_links() {
    let schema = schema();
    let of_host =
        |key: &str| schema["properties"]["host"]["properties"][key]["description"].clone();
    assert_eq!(
        of_host("log_format"),
        "The format of the log lines. `HIVE_LOG_FORMAT` takes precedence. Default: \"text\"."
    );
    assert_eq!(
        of_host("name"),
        "Consumer tags and connection names start with it. Default: the machine's hostname."
    );
    let token = of_host("admin_token");
    assert!(
        token
            .as_str()
            .unwrap()
            .contains("may give commands to the admin server."),
        "{token}"
    );
    assert!(!schema.to_string().contains("]("), "a link is left");
}
