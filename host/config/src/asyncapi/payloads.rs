//! The schemas of bodies, with the files that they refer to: each file is a schema of the components, and what leads
//! from one to another leads there.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use hive_contracts::Schema;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::reference;

/// The keywords whose values are data and no schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// The keywords whose values are schemas by names, which may be those of keywords.
const NAMED: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// The files so far, by their paths.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    names: Names,
    ids: BTreeMap<PathBuf, String>,
    schemas: Map<String, Value>,
}

impl Payloads {
    /// Adds a schema with its files. Gives its address.
    pub(super) fn reference(&mut self, schema: &Schema) -> Value {
        let root = plain(schema.path());
        let files: BTreeMap<PathBuf, Value> = schema
            .files()
            .map(|(path, value)| (plain(path), value))
            .collect();
        let others = files.keys().filter(|path| **path != root).cloned();
        // First the one that hive.toml names: it gets the better name.
        let mut new = Vec::new();
        for path in [root.clone()].into_iter().chain(others) {
            if !self.ids.contains_key(&path) {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                self.ids.insert(path.clone(), self.names.unique(&stem));
                new.push(path);
            }
        }
        // What a file without `$schema` is written in says the one that refers to it.
        let draft = schema.value()["$schema"].as_str();
        for path in new {
            let value = &files[&path];
            let format = format_of(value["$schema"].as_str().or(draft));
            let moved = self.moved(value, &path);
            let component = json!({ "schemaFormat": format, "schema": moved });
            self.schemas.insert(self.ids[&path].clone(), component);
        }
        reference(&format!("components/schemas/{}", self.ids[&root]))
    }

    pub(super) fn into_value(self) -> Value {
        self.schemas.into()
    }

    /// A schema of the file at `path`, as it stands in the document.
    fn moved(&self, schema: &Value, path: &Path) -> Value {
        match schema {
            Value::Object(keywords) => {
                // Readers of the document would take references in it as relative to `$id`.
                let kept = keywords
                    .iter()
                    .filter(|(key, value)| *key != "$id" || !value.is_string());
                let moved =
                    kept.map(|(key, value)| (key.clone(), self.moved_keyword(key, value, path)));
                moved.collect::<Map<_, _>>().into()
            }
            Value::Array(schemas) => schemas.iter().map(|one| self.moved(one, path)).collect(),
            other => other.clone(),
        }
    }

    fn moved_keyword(&self, keyword: &str, value: &Value, path: &Path) -> Value {
        match value {
            Value::String(target) if keyword == "$ref" => self.target(target, path).into(),
            Value::Object(named) if NAMED.contains(&keyword) => {
                let moved = named
                    .iter()
                    .map(|(name, schema)| (name.clone(), self.moved(schema, path)));
                moved.collect::<Map<_, _>>().into()
            }
            data if DATA.contains(&keyword) => data.clone(),
            schema => self.moved(schema, path),
        }
    }

    /// Where a reference in the file at `path` leads in the document. One by an anchor or by `$id` stays as it is.
    fn target(&self, target: &str, path: &Path) -> String {
        let (file, pointer) = target.split_once('#').unwrap_or((target, ""));
        let file = match file {
            "" => path.to_owned(),
            file => {
                let file = percent_encoding::percent_decode_str(file).decode_utf8_lossy();
                let folder = path.parent().unwrap_or(path);
                let file = file.strip_prefix("file://").unwrap_or(&file);
                plain(&folder.join(file))
            }
        };
        match self.ids.get(&file) {
            Some(id) if pointer.is_empty() || pointer.starts_with('/') => {
                format!("#/components/schemas/{id}/schema{pointer}")
            }
            _ => target.to_owned(),
        }
    }
}

/// The same path without `.` and `..`, as references are resolved: by their letters.
fn plain(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The media type of a draft. AsyncAPI asks readers to know that of draft 7.
fn format_of(draft: Option<&str>) -> String {
    let drafts = [
        ("draft-04", "draft-04"),
        ("draft-06", "draft-06"),
        ("draft-07", "draft-07"),
        ("2019-09", "2019-09"),
    ];
    let named = |draft: &str| drafts.iter().find(|(part, _)| draft.contains(part));
    let version = draft
        .and_then(named)
        .map_or("2020-12", |(_, version)| version);
    format!("application/schema+json;version={version}")
}
