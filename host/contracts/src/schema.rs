//! One JSON Schema, compiled once.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

/// What may stand as it is in the path of a URI (RFC 3986, section 3.3).
const NOT_IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Enough of a message's own names in an error.
const LONGEST_WORDS: usize = 500;

/// How a file is read.
pub type Read = fn(&Path) -> io::Result<Vec<u8>>;

/// The content of the files that a schema is made of.
type Content = BTreeMap<PathBuf, Vec<u8>>;

/// A schema that a body is held against.
#[derive(Clone)]
pub struct Schema {
    path: PathBuf,
    value: Arc<Value>,
    /// Two schemas are equal if these are.
    content: Arc<Content>,
    validator: Arc<Validator>,
}

/// What a body does not match, without a value of the message.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It is not JSON.
    NoJson(String),
    /// A rule does not hold.
    Rule {
        /// Where in the body, as RFC 6901 has it.
        at: String,
        /// The rule: where in the schema it stands.
        rule: String,
        /// What it says.
        says: String,
    },
}

/// Why a file is not a schema.
#[derive(Debug, thiserror::Error)]
pub enum NoSchema {
    /// It cannot be read.
    #[error("names a file that cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is not JSON.
    #[error("names a file that is not JSON: {0}")]
    NoJson(serde_json::Error),
    /// It is JSON and no schema, or it refers to something that cannot be read.
    #[error("names a file that is no JSON Schema: {0}")]
    Faulty(String),
}

impl Schema {
    /// Reads the schema in a file, and the files that it refers to.
    ///
    /// # Errors
    ///
    /// The file is not a JSON Schema, or refers to what is not.
    pub fn read(path: &Path, read: Read) -> Result<Self, NoSchema> {
        let bytes = read(path).map_err(NoSchema::Unreadable)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(NoSchema::NoJson)?;
        let files = Files {
            read,
            content: Arc::new(Mutex::new(Content::from([(path.to_owned(), bytes)]))),
        };
        let content = Arc::clone(&files.content);
        let validator = jsonschema::options()
            // One that takes linear time for any text, since texts come from anybody.
            .with_pattern_options(PatternOptions::regex())
            .with_base_uri(uri(path))
            .with_retriever(files)
            .build(&value)
            .map_err(|error| {
                let place = match error.instance_path.as_str() {
                    "" => String::new(),
                    path => format!("{path}: "),
                };
                NoSchema::Faulty(format!("{place}{error}"))
            })?;
        let content = content.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            path: path.to_owned(),
            value: Arc::new(value),
            content: Arc::new(content.clone()),
            validator: Arc::new(validator),
        })
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As it is written.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The files that it is made of, itself among them, each as it is written.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Value)> {
        let files = self.content.iter();
        // All of them were read as JSON before.
        files.filter_map(|(path, bytes)| Some((&**path, serde_json::from_slice(bytes).ok()?)))
    }

    /// Holds a body against it.
    ///
    /// # Errors
    ///
    /// The first thing that does not match.
    pub fn check(&self, body: &[u8]) -> Result<(), Mismatch> {
        let value = serde_json::from_slice(body).map_err(|error| {
            // The text of a syntax error has no part of the body in it.
            Mismatch::NoJson(error.to_string())
        })?;
        self.validator.validate(&value).map_err(|error| {
            let says = error.masked_with("the value").to_string();
            Mismatch::Rule {
                at: bounded(error.instance_path.as_str()),
                rule: bounded(error.schema_path.as_str()),
                says: bounded(&says),
            }
        })
    }
}

fn bounded(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(LONGEST_WORDS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.content == other.content
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.path).finish()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson(why) => write!(f, "it is not JSON: {why}"),
            Self::Rule { at, rule, says } => {
                let at = if at.is_empty() { "the whole" } else { at };
                write!(f, "{at}: {says} (rule {rule})")
            }
        }
    }
}

/// The address of a file, which references in it are relative to.
fn uri(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.to_string_lossy();
    format!("file://{}", utf8_percent_encode(&text, NOT_IN_A_PATH))
}

/// The files that a schema refers to. Nothing is fetched over a network.
struct Files {
    read: Read,
    content: Arc<Mutex<Content>>,
}

impl Retrieve for Files {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if uri.scheme().as_str() != "file" {
            let text = "only files are read, none over a network; put it beside the schema, and name it relative to that";
            return Err(text.into());
        }
        let path = percent_decode_str(uri.path().as_str()).decode_utf8()?;
        let path = Path::new(&*path);
        let bytes = (self.read)(path)?;
        let value = serde_json::from_slice(&bytes)?;
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.insert(path.to_owned(), bytes);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read(folder: &TempDir, name: &str) -> Result<Schema, NoSchema> {
        Schema::read(&folder.path().join(name), |path| std::fs::read(path))
    }

    fn schema(text: &str) -> Schema {
        read(&folder(&[("a.json", text)]), "a.json").unwrap()
    }

    fn told(schema: &Schema, body: &str) -> String {
        schema.check(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_place_and_the_rule_are_told_and_no_value() {
        let schema = schema(
            r#"{"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer"},
                "lines": {"type": "array", "items": {"properties": {"sku": {"pattern": "^[A-Z]+$"}}}},
                "kind": {"enum": ["a", "b"]}}}"#,
        );
        assert_eq!(
            schema.check(br#"{"id": 1, "lines": [{"sku": "A"}]}"#),
            Ok(())
        );
        assert_eq!(
            told(
                &schema,
                r#"{"id": 1, "lines": [{"sku": "A"}, {"sku": "secret"}]}"#
            ),
            r#"/lines/1/sku: the value does not match "^[A-Z]+$" (rule /properties/lines/items/properties/sku/pattern)"#
        );
        assert_eq!(
            told(&schema, r#"{"id": "secret"}"#),
            r#"/id: the value is not of type "integer" (rule /properties/id/type)"#
        );
        assert_eq!(
            told(&schema, "{}"),
            r#"the whole: "id" is a required property (rule /required)"#
        );
        assert_eq!(
            told(&schema, r#"{"id": 1, "kind": "secret"}"#),
            r#"/kind: the value is not one of "a" or "b" (rule /properties/kind/enum)"#
        );
        let cut = told(&schema, r#"{"id": "secret"#);
        assert!(
            cut.starts_with("it is not JSON: EOF") && !cut.contains("secret"),
            "{cut}"
        );
    }

    #[test]
    fn long_names_of_a_message_and_long_rules_are_cut() {
        let name = format!(r#"{{"{}": 1}}"#, "n".repeat(100_000));
        let by_name = schema(r#"{"additionalProperties": {"type": "string"}}"#);
        let rule = schema(&format!(r#"{{"pattern": "{}"}}"#, "p".repeat(10_000)));
        for told in [told(&by_name, &name), told(&rule, r#""no""#)] {
            assert!(told.len() < 2_000, "{}", told.len());
        }
    }

    #[test]
    fn a_format_is_a_rule_where_the_draft_says_so() {
        for (draft, is_rule) in [
            ("http://json-schema.org/draft-04/schema#", true),
            ("http://json-schema.org/draft-06/schema#", true),
            ("http://json-schema.org/draft-07/schema#", true),
            ("https://json-schema.org/draft/2019-09/schema", false),
            ("https://json-schema.org/draft/2020-12/schema", false),
        ] {
            let schema = schema(&format!(r#"{{"$schema": "{draft}", "format": "ipv4"}}"#));
            assert_eq!(schema.check(br#""1.2.3.4""#), Ok(()), "{draft}");
            assert_eq!(
                schema.check(br#""no address""#).is_err(),
                is_rule,
                "{draft}"
            );
        }
        let by_default = schema(r#"{"format": "ipv4"}"#);
        assert_eq!(by_default.check(br#""no address""#), Ok(()));
    }

    #[test]
    fn a_pattern_takes_no_exponential_time() {
        let schema = schema(r#"{"pattern": "^(a+)+$"}"#);
        let body = format!(r#""{}!""#, "a".repeat(100_000));
        assert!(schema.check(body.as_bytes()).is_err());
    }

    #[test]
    fn files_beside_it_are_read_and_belong_to_it() {
        let files = [(
            "order.json",
            r#"{"properties": {"sku": {"$ref": "parts/a%20b.json#/$defs/sku"}}}"#,
        )];
        let folder = folder(&files);
        std::fs::create_dir(folder.path().join("parts")).unwrap();
        let part = folder.path().join("parts/a b.json");
        std::fs::write(&part, r#"{"$defs": {"sku": {"type": "string"}}}"#).unwrap();
        let one = read(&folder, "order.json").unwrap();
        assert_eq!(one.check(br#"{"sku": "a"}"#), Ok(()));
        assert!(one.check(br#"{"sku": 1}"#).is_err());
        assert_eq!(one, read(&folder, "order.json").unwrap());
        std::fs::write(&part, r#"{"$defs": {"sku": {"type": "integer"}}}"#).unwrap();
        assert_ne!(one, read(&folder, "order.json").unwrap());
    }

    #[test]
    fn what_is_no_schema_is_told() {
        let error = |text: &str| {
            read(&folder(&[("a.json", text)]), "a.json")
                .unwrap_err()
                .to_string()
        };
        assert!(error("{").contains("not JSON"), "{}", error("{"));
        for (text, part) in [
            (r#"{"type": "objekt"}"#, "objekt"),
            (r#"{"pattern": "(?=look)a"}"#, "(?=look)a"),
            (r#"{"$ref": "none.json"}"#, "none.json"),
            (
                r#"{"$ref": "https://shop.example/order.json"}"#,
                "only files are read",
            ),
        ] {
            let error = error(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let missing = read(&folder(&[]), "a.json").unwrap_err();
        assert!(matches!(missing, NoSchema::Unreadable(_)), "{missing}");
    }
}
