//! Objects that a case gives or expects, in the containers that hive.toml grants to its component.

use hive_core::codes::Code;
use hive_core::nearest;

use super::{Meaning, Target};
use crate::cases::given::{bytes, file, json};
use crate::cases::keys::named;
use crate::cases::{ContentMatch, Object, ObjectMatch};
use crate::keys::Name;
use crate::plan::Plan;
use crate::written::{Node, Value};

/// The ways to write a content.
const CONTENTS: [Name<()>; 4] = [
    named!("body"),
    named!("body-base64"),
    named!("body-json"),
    named!("body-file"),
];

impl<'a> Meaning<'a> {
    /// The objects that are there before the first call.
    pub(super) fn objects(&mut self, node: &Node, target: Option<&Target<'_>>) -> Vec<Object> {
        let mut objects = Vec::new();
        for (container, at) in node.named(named!("objects")) {
            self.granted(at, container, target);
            let Value::Named(entries) = &at.value else {
                continue;
            };
            for (name, node) in entries {
                objects.extend(self.content(node).map(|content| Object {
                    container: container.clone(),
                    name: name.clone(),
                    content,
                }));
            }
        }
        objects
    }

    fn content(&mut self, node: &Node) -> Option<Vec<u8>> {
        let set = CONTENTS.iter();
        let set = set.filter_map(|key| Some((key.name(), node.get(*key)?)));
        let set: Vec<(&str, &Node)> = set.collect();
        if let [_, (_, second), ..] = &set[..] {
            let remedy = "keep one of them";
            self.faults
                .error(Code::Conflict, second, "is a second body", remedy);
            return None;
        }
        let Some((key, at)) = set.first() else {
            return (!node.is_faulty()).then(Vec::new);
        };
        match *key {
            "body" => Some(at.as_text()?.as_bytes().to_vec()),
            "body-base64" => bytes(at, self.faults),
            "body-file" => file(at, &self.folder, self.faults),
            _ => Some(json(at)?.to_string().into_bytes()),
        }
    }

    /// The objects that an `expect` names.
    pub(super) fn expected_objects(
        &mut self,
        node: &Node,
        target: Option<&Target<'_>>,
    ) -> Vec<ObjectMatch> {
        let list = node.list(named!("objects")).iter();
        list.filter_map(|one| self.expected_object(one, target))
            .collect()
    }

    fn expected_object(&mut self, node: &Node, target: Option<&Target<'_>>) -> Option<ObjectMatch> {
        let container = self.container(node, target);
        let name = self.expecting().text_at(node, named!("name"));
        let as_it_is = [named!("body-base64"), named!("body-file")];
        let as_it_is = as_it_is.iter().any(|key| node.get(*key).is_some());
        let body = self.expecting().body(node);
        let absent = node.read(named!("absent")).unwrap_or(false);
        if let (true, Some(_), Some(at)) = (absent, &body, node.get(named!("absent"))) {
            let remedy = "keep `absent`, or the content";
            let message = "cannot be combined with a content";
            self.faults.error(Code::Conflict, at, message, remedy);
        }
        Some(ObjectMatch {
            container: container?,
            name: name?,
            content: match body {
                _ if absent => ContentMatch::Absent,
                None => ContentMatch::Any,
                Some(body) if as_it_is => ContentMatch::Raw(body),
                Some(body) => ContentMatch::Unpacked(body),
            },
        })
    }

    /// The container of an expectation: the named one, or else the only one.
    fn container(&mut self, node: &Node, target: Option<&Target<'_>>) -> Option<String> {
        if let Some(at) = node.get(named!("container")) {
            let name = at.as_text()?;
            self.granted(at, name, target);
            return Some(name.to_owned());
        }
        let granted = self.containers(target?);
        if let [only] = &granted[..] {
            return Some((*only).to_owned());
        }
        let remedy = match &granted[..] {
            [] => "`allow.blobstore` of the component grants none".to_owned(),
            several => format!("`allow.blobstore` grants several: {}", several.join(", ")),
        };
        self.faults
            .missing(node, named!("container").name(), remedy);
        None
    }

    /// What is in no container of the component, it can neither read nor write.
    fn granted(&mut self, at: &Node, name: &str, target: Option<&Target<'_>>) {
        let Some(target) = target else {
            return;
        };
        let granted = self.containers(target);
        if !granted.contains(&name) {
            let message = format!("is not granted by `allow.blobstore` of the component: {name:?}");
            let advice = match granted.is_empty() {
                true => "it grants no container".to_owned(),
                false => nearest::advice(name, granted, "the containers are"),
            };
            self.faults
                .error(Code::UnknownReference, at, message, advice);
        }
    }

    /// The containers that the component of a case may reach.
    fn containers(&self, target: &Target<'_>) -> Vec<&'a str> {
        let plan: &'a Plan = self.plan;
        let component = target.handler.component();
        let component = component.and_then(|name| plan.components.get(name));
        let grants = component.map_or(&[][..], |component| &component.allow.blobstore);
        grants.iter().map(|grant| &*grant.container).collect()
    }
}
