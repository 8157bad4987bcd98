//! The containers of a case: the objects that are in them before it, and those that must be in them after a call.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hive_config::cases::{BodyMatch, ContentMatch, Object, ObjectMatch, TextMatch};
use hive_config::plan::ComponentPlan;
use hive_core::message::{Message, Properties};
use hive_objects::{Container, Fault, Objects, Upload};
use tokio::time::Instant;

use super::compare::{Differences, body, differs, holds, wanted, within};

/// How long memory may take for one object.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes that an object may have once it is unpacked.
const MOST_UNPACKED: usize = 64 << 20;

/// Names that are listed where none is the expected one.
const LISTED: usize = 10;

/// The containers that hive.toml grants to the component of a case.
pub(super) struct Containers(Vec<Container>);

/// The objects of the containers, by their names.
type Content = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

impl Containers {
    /// Those that the plan grants, kept in `objects`, with what the case gives.
    pub(super) async fn filled(
        objects: &Objects,
        plan: &ComponentPlan,
        given: &[Object],
    ) -> Result<Self, String> {
        let containers = objects.containers(&plan.name, &plan.allow.blobstore);
        let containers = Self(containers.map_err(|unusable| {
            let reasons: Vec<String> = unusable.iter().map(ToString::to_string).collect();
            reasons.join("\n")
        })?);
        for object in given {
            let written = containers.write(object).await;
            written.map_err(|fault| {
                format!("the object {:?} cannot be given: {fault}", object.name)
            })?;
        }
        Ok(containers)
    }

    async fn write(&self, object: &Object) -> Result<(), Fault> {
        let mut containers = self.0.iter();
        let Some(container) = containers.find(|one| **one.name() == *object.container) else {
            return Err(Fault::NotFound);
        };
        let mut upload = Upload::new();
        upload.goes_to(container, &object.name)?;
        let mut rest = &object.content[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(upload.room().min(rest.len()));
            upload.write(now)?;
            upload.ready().await;
            rest = later;
        }
        upload.finish(Instant::now() + PATIENCE).await
    }

    /// What is not as expected.
    pub(super) async fn differences(&self, expected: &[ObjectMatch], at: &str) -> Differences {
        let mut content = Content::new();
        for container in &self.0 {
            let is_expected = |one: &ObjectMatch| *one.container == **container.name();
            if !expected.iter().any(is_expected) {
                continue;
            }
            match read(container).await {
                Ok(objects) => drop(content.insert(container.name().to_string(), objects)),
                Err(fault) => return vec![differs(&within(at, "objects"), fault.to_string())],
            }
        }
        compare(expected, &content, at)
    }
}

/// Every object of a container.
async fn read(container: &Container) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let until = Instant::now() + PATIENCE;
    let mut objects = BTreeMap::new();
    let mut names = container.list();
    while let Some(name) = names.next(until).await? {
        let mut download = container.get(&name, 0, u64::MAX, until).await?;
        let mut content = Vec::new();
        while let Some(chunk) = download.next(until).await? {
            content.extend_from_slice(&chunk);
        }
        objects.insert(name, content);
    }
    Ok(objects)
}

/// Expectations whose name is given in full come first, then those with a pattern, and what must be absent last: an
/// object that an earlier one is about is not counted again.
fn compare(expected: &[ObjectMatch], content: &Content, at: &str) -> Differences {
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by_key(|index| match &expected[*index] {
        ObjectMatch {
            content: ContentMatch::Absent,
            ..
        } => 2,
        ObjectMatch {
            name: TextMatch::Is(_),
            ..
        } => 0,
        _ => 1,
    });
    let none = BTreeMap::new();
    let mut counted = BTreeSet::new();
    let mut found: BTreeMap<usize, Differences> = BTreeMap::new();
    for index in order {
        let one = &expected[index];
        let objects = content.get(&one.container).unwrap_or(&none);
        let left = objects.iter().filter(|(name, _)| {
            holds(&one.name, name) && !counted.contains(&(&one.container, *name))
        });
        let place = within(at, &format!("objects[{index}]"));
        let differences = match &one.content {
            ContentMatch::Absent => left
                .map(|(name, _)| unexpected(one, name, &place))
                .collect(),
            _ => {
                let tried = left.map(|(name, content)| {
                    let place = within(at, &format!("objects.{}.{name}", one.container));
                    (name, differing(&one.content, name, content, &place))
                });
                let (name, differences) = closest(one, tried.collect(), objects, &place);
                counted.extend(name.map(|name| (&one.container, name)));
                differences
            }
        };
        found.insert(index, differences);
    }
    found.into_values().flatten().collect()
}

fn unexpected(expected: &ObjectMatch, name: &str, place: &str) -> super::compare::Difference {
    let ObjectMatch {
        container,
        name: pattern,
        ..
    } = expected;
    let words = match pattern {
        TextMatch::Is(_) => format!("expected no object {name:?} in {container:?}, got one"),
        _ => format!(
            "expected no other object in {container:?} whose name is {}, got {name:?}",
            wanted(pattern)
        ),
    };
    differs(place, words)
}

/// Of the objects with the expected name, the one that is as expected, or what differs.
fn closest<'o>(
    expected: &ObjectMatch,
    mut tried: Vec<(&'o String, Differences)>,
    objects: &BTreeMap<String, Vec<u8>>,
    place: &str,
) -> (Option<&'o String>, Differences) {
    if let Some((name, _)) = tried.iter().find(|(_, found)| found.is_empty()) {
        return (Some(name), Differences::new());
    }
    let ObjectMatch {
        container, name, ..
    } = expected;
    let name = wanted(name);
    match tried.len() {
        0 => {
            let words = format!(
                "expected an object in {container:?} whose name is {name}, got {}",
                listed(objects.keys())
            );
            (None, vec![differs(place, words)])
        }
        1 => {
            let (name, found) = tried.remove(0);
            (Some(name), found)
        }
        _ => {
            let names = listed(tried.iter().map(|(name, _)| *name));
            let words = format!(
                "none of the objects in {container:?} whose name is {name} has the expected content: {names}"
            );
            (None, vec![differs(place, words)])
        }
    }
}

fn listed<'o>(names: impl Iterator<Item = &'o String>) -> String {
    let all: Vec<&String> = names.collect();
    if all.is_empty() {
        return "none".to_owned();
    }
    let first = all.iter().take(LISTED);
    let first: Vec<String> = first.map(|name| format!("{name:?}")).collect();
    let more = match all.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", first.join(", "))
}

/// How a content differs from what is expected of it.
fn differing(expected: &ContentMatch, name: &str, content: &[u8], at: &str) -> Differences {
    let compared = |expected: &BodyMatch, content: &[u8]| body(expected, content, at);
    match expected {
        ContentMatch::Absent | ContentMatch::Any => Differences::new(),
        ContentMatch::Raw(expected) => compared(expected, content),
        ContentMatch::Unpacked(expected) => match unpacked(name, content) {
            Ok(content) => compared(expected, &content),
            Err(words) => vec![differs(at, words)],
        },
    }
}

/// The content without the gzip that its name says.
fn unpacked<'c>(name: &str, content: &'c [u8]) -> Result<Cow<'c, [u8]>, &'static str> {
    if !name.ends_with(".gz") {
        return Ok(Cow::Borrowed(content));
    }
    let packed = Message {
        body: content.to_vec().into(),
        properties: Properties {
            content_encoding: Some("gzip".into()),
            ..Properties::default()
        },
    };
    match hive_contracts::decode(&packed, MOST_UNPACKED) {
        Ok(Some(decoded)) => Ok(Cow::Owned(decoded.body)),
        _ => Err("its name ends in `.gz`, and it is not gzipped, or larger than 64 MiB"),
    }
}

#[cfg(test)]
mod tests;
