//! The JSON Schema of hive.toml (draft 2020-12), written from the table of keys: for editors, which
//! complete and check the file with it.
//!
//! Every file that the host takes conforms. The other way round it is as much as a schema can say: names
//! that lead nowhere and keys that do not go together are for `hive-host check`.

use serde_json::{Map, Value, json};

use super::cases::keys as cases;
use super::keys::{Key, ROOT, Shape, Unset};
use super::units;

/// Filled from the environment when the file is read, so it may be anything before.
const VARIABLE: &str = r"\$\{";
const DURATION: &str = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const SIZE: &str = r"^[0-9]+ *(B|kB|KiB|MB|MiB|GB|GiB)$";

/// The schema of a hive.toml. A file that another one includes conforms to it too.
pub fn schema() -> Value {
    titled("hive.toml", ROOT)
}

/// The schema of a test file.
pub fn cases_schema() -> Value {
    titled("test file of Hive", cases::ROOT)
}

fn titled(title: &str, keys: &[Key]) -> Value {
    let mut schema = table(keys);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties = keys.iter().map(|key| {
        let mut schema = of(&key.shape);
        schema["description"] = description(key).into();
        (key.name.to_owned(), schema)
    });
    let properties: Map<String, Value> = properties.collect();
    let required = keys.iter().filter(|key| key.required);
    let required: Vec<&str> = required.map(|key| key.name).collect();
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

/// The meaning, the type, the default, and of a duration or a size the range, which no pattern can express.
fn description(key: &Key) -> String {
    let mut text = without_links(key.meaning);
    if let Some(written) = key.written {
        text.push_str(&format!(" Type: {written}."));
    }
    match key.unset {
        Unset::Nothing => {}
        Unset::Is(default) => text.push_str(&format!(" Default: {default}.")),
        Unset::Means(words) => text.push_str(&format!(" Default: {}.", without_links(words))),
    }
    if let Some(range) = range(&key.shape) {
        text.push_str(&format!(" {range}"));
    }
    text
}

/// Markdown without its links: editors show a description as it is, far from the pages of docs/. A sentence that only
/// leads to a page goes, and of the others the text of the link stays.
fn without_links(markdown: &str) -> String {
    let mut rest = markdown;
    let mut text = String::new();
    while let Some((before, link)) = rest.split_once('[')
        && let Some((words, target)) = link.split_once("](")
        && let Some((_, after)) = target.split_once(')')
    {
        let only_leads_on = before.ends_with("See ") && after.starts_with('.');
        match before.strip_suffix("See ").filter(|_| only_leads_on) {
            Some(before) => {
                text.push_str(before.trim_end());
                rest = &after[1..];
            }
            None => {
                text.push_str(before);
                text.push_str(words);
                rest = after;
            }
        }
    }
    text + rest
}

fn range(shape: &Shape) -> Option<String> {
    let time = |milliseconds: u64| units::show(std::time::Duration::from_millis(milliseconds));
    Some(match shape {
        Shape::Duration(least, most) | Shape::DurationOr(_, least, most) => {
            format!(
                "A duration from \"{}\" to \"{}\".",
                time(*least),
                time(*most)
            )
        }
        Shape::Size(least) => format!("A size of at least \"{}KiB\".", least / 1024),
        Shape::List(element) => return range(element),
        _ => return None,
    })
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer(least, most) => integer(*least, *most),
        Shape::Text | Shape::Secret | Shape::Verbatim => json!({ "type": "string" }),
        Shape::Name => json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        Shape::Choice(words) => json!({ "anyOf": [{ "enum": words }, variable()] }),
        Shape::Ratio => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        Shape::Form(pattern) => matching(pattern),
        Shape::Duration(..) => matching(DURATION),
        Shape::Size(_) => matching(SIZE),
        Shape::DurationOr(word, ..) => {
            json!({ "anyOf": [{ "enum": [word] }, matching(DURATION)] })
        }
        Shape::List(element) => json!({ "type": "array", "items": of(element) }),
        Shape::TextOrTexts => json!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        Shape::Table(keys) => table(keys),
        Shape::Short(name, keys) => {
            let short = keys.iter().find(|key| key.name == *name);
            let short = short.map(|key| of(&key.shape));
            json!({ "anyOf": short.into_iter().chain([table(keys)]).collect::<Vec<_>>() })
        }
        Shape::Named(keys) => json!({
            "type": "object",
            "patternProperties": { "^.{1,255}$": table(keys) },
            "additionalProperties": false,
        }),
        // The types that both AMQP and TOML have: everything but dates.
        Shape::Arguments => json!({ "type": "object" }),
        Shape::Texts => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Shape::Json => json!({}),
        Shape::Each(shape) => {
            json!({ "type": "object", "additionalProperties": of(shape) })
        }
        Shape::Offset => json!({ "anyOf": [integer(0, i64::MAX), { "type": "string" }] }),
        // Of the table of included files, which is a part of the other one.
        Shape::MainFile => json!(false),
    }
}

fn integer(least: i64, most: i64) -> Value {
    match most {
        i64::MAX => json!({ "type": "integer", "minimum": least }),
        _ => json!({ "type": "integer", "minimum": least, "maximum": most }),
    }
}

fn variable() -> Value {
    json!({ "type": "string", "pattern": VARIABLE })
}

fn matching(pattern: &str) -> Value {
    let pattern = format!("{pattern}|{VARIABLE}");
    json!({ "type": "string", "minLength": 1, "pattern": pattern })
}

#[cfg(test)]
mod tests;
