//! What a case expects: how texts, bodies, messages and answers must be.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::Value as Json;

use super::given::{bytes, file, json, known, publication};
use super::keys::named;
use super::{
    AnswerMatch, BodyMatch, Bucket, CallMatch, HeaderMatch, HttpAnswer, HttpReply, MessageMatch,
    RequestAnswer, RequestReply, TextMatch,
};
use crate::faults::Faults;
use crate::keys::Name;
use crate::written::{Node, Value};
use hive_core::codes::Code;

/// Keys of a message that hold a string, and that an expectation may have.
const TEXTS: [Name<()>; 10] = [
    named!("exchange"),
    named!("routing-key"),
    named!("content-type"),
    named!("content-encoding"),
    named!("correlation-id"),
    named!("reply-to"),
    named!("message-id"),
    named!("type"),
    named!("user-id"),
    named!("app-id"),
];

const VALUES: [Name<()>; 5] = [
    named!("persistent"),
    named!("priority"),
    named!("expiration-ms"),
    named!("timestamp"),
    named!("mandatory"),
];

const BODIES: [Name<()>; 7] = [
    named!("body"),
    named!("body-base64"),
    named!("body-file"),
    named!("body-json"),
    named!("body-subset"),
    named!("body-regex"),
    named!("body-schema"),
];

/// Reads expectations; files are named relative to `folder`.
pub(super) struct Expecting<'a> {
    pub(super) folder: &'a Path,
    pub(super) faults: &'a mut Faults,
}

impl Expecting<'_> {
    /// What must come of a delivery.
    pub(super) fn answer(&mut self, node: &Node) -> AnswerMatch {
        let text = |key| node.text(key).map(str::to_owned);
        let (action, failure) = (text(named!("action")), text(named!("failure")));
        if let (Some(_), Some(at)) = (&action, node.get(named!("failure"))) {
            let remedy =
                "keep `action` for a component that answers, or `failure` for one that fails";
            self.faults.error(
                Code::Conflict,
                at,
                "cannot be combined with `action`",
                remedy,
            );
        }
        self.fits(
            node,
            named!("reason"),
            action.as_deref(),
            &["retry", "reject"],
        );
        self.fits(node, named!("delay"), action.as_deref(), &["retry"]);
        self.fits(
            node,
            named!("publications"),
            action.as_deref(),
            &["publish"],
        );
        if let (Some(at), None, Some(_)) = (node.get(named!("error")), &failure, &action) {
            let remedy = "write `failure` in place of `action`, or leave `error` out";
            self.faults
                .error(Code::NoEffect, at, "only applies to a failure", remedy);
        }
        let publications = node.get(named!("publications")).map(|_| {
            let list = node.list(named!("publications"));
            list.iter().map(|one| self.message(one)).collect()
        });
        AnswerMatch {
            action,
            failure,
            reason: self.text_at(node, named!("reason")),
            error: self.text_at(node, named!("error")),
            delay: node.read(named!("delay")),
            publications,
        }
    }

    /// A key that only applies to some actions.
    fn fits(&mut self, node: &Node, key: Name<()>, action: Option<&str>, actions: &[&str]) {
        let (Some(at), Some(action)) = (node.get(key), action) else {
            return;
        };
        if !actions.contains(&action) {
            let actions: Vec<String> = actions.iter().map(|one| format!("\"{one}\"")).collect();
            let message = format!("does not apply to the action \"{action}\"");
            let remedy = format!(
                "expect the action {}, or leave it out",
                actions.join(" or ")
            );
            self.faults.error(Code::NoEffect, at, message, remedy);
        }
    }

    /// What must hold of a call.
    pub(super) fn call(&mut self, node: &Node) -> CallMatch {
        CallMatch {
            log: self.texts(node, named!("log")),
            no_log: self.texts(node, named!("no-log")),
            time: node.read(named!("time")),
            memory: node.read(named!("memory")),
            keyvalue: buckets(node),
            // Of the containers that the component has.
            objects: Vec::new(),
            snapshot: node.read(named!("snapshot")).unwrap_or(false),
        }
    }

    /// How a message must be.
    pub(super) fn message(&mut self, node: &Node) -> MessageMatch {
        let texts = TEXTS.iter().filter_map(|key| {
            known(node, *key)?;
            Some((key.name(), self.text_at(node, *key)?))
        });
        let texts = texts.collect();
        let mut values: Vec<(&'static str, Json)> = VALUES
            .iter()
            .filter_map(|key| Some((key.name(), json(known(node, *key)?)?)))
            .collect();
        if known(node, named!("delay")).is_some()
            && let Some(delay) = node.read::<Duration, _, _>(named!("delay"))
        {
            let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            values.push(("delay-ms", millis.into()));
        }
        MessageMatch {
            texts,
            values,
            headers: self.headers(node),
            body: self.body(node),
        }
    }

    fn headers(&mut self, node: &Node) -> Vec<(String, HeaderMatch)> {
        let Some(at) = node.get(named!("headers")) else {
            return Vec::new();
        };
        let Value::Json(Json::Object(headers)) = &at.value else {
            if !at.is_faulty() {
                let remedy = "write { name = \"value\" }";
                self.faults
                    .error(Code::WrongType, at, "must be a table", remedy);
            }
            return Vec::new();
        };
        let headers = headers.iter();
        headers
            .filter_map(|(name, value)| Some((name.clone(), self.header(at, value)?)))
            .collect()
    }

    fn header(&mut self, at: &Node, value: &Json) -> Option<HeaderMatch> {
        let only = value.as_object().filter(|object| object.len() == 1);
        let only = only.and_then(|object| object.iter().next());
        Some(match only.map(|(key, value)| (key.as_str(), value)) {
            Some(("regex", Json::String(pattern))) => {
                HeaderMatch::Text(TextMatch::Matches(self.regex(at, pattern)?))
            }
            Some(("contains", Json::String(part))) => {
                HeaderMatch::Text(TextMatch::Contains(part.clone()))
            }
            Some(("absent", Json::Bool(true))) => HeaderMatch::Absent,
            _ => HeaderMatch::Is(value.clone()),
        })
    }

    /// The expectation of a body, of which there is one at most.
    pub(super) fn body(&mut self, node: &Node) -> Option<BodyMatch> {
        let set = BODIES
            .iter()
            .filter_map(|key| Some((key.name(), known(node, *key)?)));
        let set: Vec<(&str, &Node)> = set.collect();
        if let [_, (_, second), ..] = &set[..] {
            self.faults.error(
                Code::Conflict,
                second,
                "is a second expectation of the body",
                "keep one of them",
            );
        }
        let (key, at) = set.first()?;
        let text = at.as_text();
        let value = json(at);
        Some(match *key {
            "body" => BodyMatch::Is(text?.as_bytes().to_vec()),
            "body-base64" => BodyMatch::Is(bytes(at, self.faults)?),
            "body-file" => BodyMatch::Is(file(at, self.folder, self.faults)?),
            "body-json" => BodyMatch::Json(value?),
            "body-subset" => BodyMatch::Subset(value?),
            "body-regex" => BodyMatch::Matches(self.regex(at, text?)?),
            _ => BodyMatch::Schema(self.schema(at, value?)?),
        })
    }

    /// A schema from a table, or from the file that a string names.
    fn schema(&mut self, at: &Node, value: Json) -> Option<Arc<jsonschema::Validator>> {
        let schema = match value {
            Json::String(name) => {
                let named = Node {
                    key: at.key.clone(),
                    span: at.span.clone(),
                    value: Value::Text(name),
                };
                let bytes = file(&named, self.folder, self.faults)?;
                match serde_json::from_slice(&bytes) {
                    Ok(schema) => schema,
                    Err(error) => {
                        let message = format!("names a file that is not JSON: {error}");
                        self.faults.error(
                            Code::BadForm,
                            at,
                            message,
                            "write a JSON Schema into it",
                        );
                        return None;
                    }
                }
            }
            schema => schema,
        };
        match jsonschema::validator_for(&schema) {
            Ok(validator) => Some(Arc::new(validator)),
            Err(error) => {
                let message = format!("is no JSON Schema: {error}");
                let remedy = "https://json-schema.org has its form; references to other files are not followed";
                self.faults.error(Code::BadForm, at, message, remedy);
                None
            }
        }
    }

    fn texts(&mut self, node: &Node, key: Name<()>) -> Vec<TextMatch> {
        let list = node.list(key).iter();
        list.filter_map(|one| self.text(one)).collect()
    }

    pub(super) fn text_at(&mut self, node: &Node, key: Name<()>) -> Option<TextMatch> {
        self.text(node.get(key)?)
    }

    fn text(&mut self, node: &Node) -> Option<TextMatch> {
        let Value::Table(_, entries) = &node.value else {
            return None;
        };
        match &entries[..] {
            [(key, value)] => Some(match (key.as_str(), value.as_text()?) {
                ("is", text) => TextMatch::Is(text.to_owned()),
                ("contains", text) => TextMatch::Contains(text.to_owned()),
                (_, pattern) => TextMatch::Matches(self.regex(value, pattern)?),
            }),
            _ => {
                let remedy = "write one of `is`, `contains` and `regex`, or a string";
                let message = format!("has {} conditions", entries.len());
                self.faults.error(Code::Conflict, node, message, remedy);
                None
            }
        }
    }

    fn regex(&mut self, at: &Node, pattern: &str) -> Option<Regex> {
        match Regex::new(pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                // It draws the pattern over several lines; the last one says what is wrong.
                let words = error.to_string();
                let reason = words.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                let message = format!("is no regular expression: {reason}");
                let remedy =
                    "https://docs.rs/regex has its syntax; a literal string '…' needs no escapes";
                self.faults.error(Code::BadForm, at, message, remedy);
                None
            }
        }
    }

    /// An answer to HTTP requests.
    pub(super) fn http(&mut self, node: &Node) -> Option<HttpAnswer> {
        let text = |key| node.text(key).map(str::to_owned);
        let fails = text(named!("fail"));
        for key in [
            named!("status"),
            named!("headers"),
            named!("body"),
            named!("body-json"),
            named!("body-file"),
        ] {
            if let (Some(at), Some(_)) = (node.get(key), &fails) {
                let remedy = "keep `fail`, or the response";
                self.faults
                    .error(Code::Conflict, at, "cannot be combined with `fail`", remedy);
            }
        }
        let body = match (
            text(named!("body")),
            node.get(named!("body-json")),
            node.get(named!("body-file")),
        ) {
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(value), None) => json(value)?.to_string().into_bytes(),
            (None, None, Some(name)) => file(name, self.folder, self.faults)?,
            (None, None, None) => Vec::new(),
            (_, one, other) => {
                let at = one.or(other).unwrap_or(node);
                self.faults
                    .error(Code::Conflict, at, "is a second body", "keep one of them");
                return None;
            }
        };
        let reply = match fails {
            Some(how) => HttpReply::Fails(how),
            None => HttpReply::Response {
                status: node.read(named!("status")).unwrap_or(200),
                headers: named_texts(node, named!("headers")),
                body,
            },
        };
        let request = node.get(named!("request"));
        Some(HttpAnswer {
            url: self.text_at(node, named!("url"))?,
            method: text(named!("method")),
            request_headers: request
                .map_or_else(Vec::new, |node| named_texts(node, named!("headers"))),
            request_body: request.and_then(|node| self.body(node)),
            reply,
            times: node.read(named!("times")),
        })
    }

    /// A reply to requests over the broker.
    pub(super) fn request(&mut self, node: &Node) -> Option<RequestAnswer> {
        let reply = match (node.get(named!("reply")), node.text(named!("fail"))) {
            (Some(at), Some(_)) => {
                let remedy = "keep `fail`, or the reply";
                self.faults
                    .error(Code::Conflict, at, "cannot be combined with `fail`", remedy);
                return None;
            }
            (None, Some(how)) => RequestReply::Fails(how.to_owned()),
            (Some(reply), None) => {
                let reply = publication(reply, self.folder, self.faults)?;
                RequestReply::Message(reply.message.into())
            }
            (None, None) => RequestReply::Message(Box::default()),
        };
        Some(RequestAnswer {
            request: self.message(node),
            reply,
            times: node.read(named!("times")),
        })
    }
}

/// Buckets with their entries, under `keyvalue`.
pub(super) fn buckets(node: &Node) -> Vec<Bucket> {
    let buckets = node.named(named!("keyvalue")).iter();
    let buckets = buckets.map(|(name, entries)| (name.clone(), texts_of(entries)));
    buckets.collect()
}

/// Strings under names.
pub(super) fn named_texts(node: &Node, key: Name<()>) -> Vec<(String, String)> {
    node.get(key).map(texts_of).unwrap_or_default()
}

fn texts_of(node: &Node) -> Vec<(String, String)> {
    let Value::Named(entries) = &node.value else {
        return Vec::new();
    };
    let entries = entries.iter();
    entries
        .filter_map(|(name, node)| Some((name.clone(), node.as_text()?.to_owned())))
        .collect()
}
