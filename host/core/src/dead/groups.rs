//! Dead letters that ended alike: by class, error text without numbers and ids, and the function of the guest.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Death, alike, guest_stack, top_frame};

/// The most groups that are told apart. Messages of further ones are counted together, so that any number of messages
/// takes the memory of these.
pub const MOST_GROUPS: usize = 1_000;

/// Octets of the hash that make a key.
const KEPT: usize = 5;

/// The most characters of a function that are kept.
const LONGEST_FRAME: usize = 200;

/// What stands for a group in a condition: ten hexadecimal digits, the same at every look and on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(String);

impl GroupKey {
    /// The group of a message that ended so.
    pub fn of(death: &Death) -> Self {
        Likeness::of(death).key()
    }

    /// A key as it is printed, in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let is_key = text.len() == 2 * KEPT && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_key.then(|| Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the messages of a group share.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Likeness {
    reason: Option<String>,
    error: String,
    frame: Option<String>,
}

impl Likeness {
    fn of(death: &Death) -> Self {
        let error = death.error.as_deref().unwrap_or_default();
        let stack = guest_stack(error);
        Self {
            reason: death.reason().map(str::to_owned),
            error: alike(error),
            frame: top_frame(&stack).map(without_line),
        }
    }

    fn key(&self) -> GroupKey {
        let mut hash = Sha256::new();
        let parts = [
            self.reason.as_deref().unwrap_or_default(),
            &self.error,
            self.frame.as_deref().unwrap_or_default(),
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = String::new();
        for octet in &hash.finalize()[..KEPT] {
            write!(key, "{octet:02x}").expect("a String takes everything");
        }
        GroupKey(key)
    }
}

/// A function and its file without the place in it, which moves with every change of the file.
fn without_line(frame: &str) -> String {
    let is_place = |c: char| c.is_ascii_digit() || c == ':';
    let shorter = match frame.strip_suffix(')') {
        Some(open) => format!("{})", open.trim_end_matches(is_place)),
        None => frame.to_owned(),
    };
    shorter.chars().take(LONGEST_FRAME).collect()
}

/// Messages that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What stands for it in a condition.
    pub key: GroupKey,
    /// How many.
    pub count: u64,
    /// The class of the failure, or the broker's reason.
    pub reason: Option<String>,
    /// The error text that they share.
    pub error: String,
    /// The function of the guest.
    pub frame: Option<String>,
    /// When the first of them died, in seconds since the Unix epoch.
    pub first: Option<u64>,
    /// When the last of them did.
    pub last: Option<u64>,
    /// The message-id of one of them that has any.
    pub example: Option<String>,
    /// The place in its queue of one of them, from 1.
    pub number: u64,
}

/// The groups of many messages.
#[derive(Debug, Default)]
pub struct Groups {
    groups: HashMap<GroupKey, Group>,
    others: u64,
}

impl Groups {
    /// Counts a message that ended so, at the place `number` of its queue.
    pub fn add(&mut self, death: &Death, number: u64, message_id: Option<&str>) {
        let likeness = Likeness::of(death);
        let key = likeness.key();
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.others += 1;
            return;
        }
        let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
            key,
            count: 0,
            reason: likeness.reason,
            error: likeness.error,
            frame: likeness.frame,
            first: None,
            last: None,
            example: None,
            number,
        });
        group.count += 1;
        if let Some(time) = death.time {
            group.first = Some(group.first.map_or(time, |first| first.min(time)));
            group.last = group.last.max(Some(time));
        }
        if group.example.is_none()
            && let Some(id) = message_id
        {
            group.example = Some(id.to_owned());
            group.number = number;
        }
    }

    /// The groups, the largest first, and how many messages are in none of them.
    pub fn sorted(self) -> (Vec<Group>, u64) {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by(|one, other| (other.count, &one.key).cmp(&(one.count, &other.key)));
        (groups, self.others)
    }
}

impl Group {
    /// The group as JSON.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("group".into(), json!(self.key.to_string()));
        object.insert("count".into(), json!(self.count));
        object.insert("reason".into(), json!(self.reason));
        object.insert("error".into(), json!(self.error));
        object.insert("top-frame".into(), json!(self.frame));
        object.insert("first".into(), json!(self.first));
        object.insert("last".into(), json!(self.last));
        object.insert("message-id".into(), json!(self.example));
        object.insert("number".into(), json!(self.number));
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(class: &str, error: &str, time: u64) -> Death {
        Death {
            class: Some(class.to_owned()),
            error: Some(error.to_owned()),
            time: Some(time),
            ..Death::default()
        }
    }

    #[test]
    fn those_that_ended_alike_are_one_group_and_the_largest_comes_first() {
        let mut groups = Groups::default();
        groups.add(&death("error", "no order 1", 30), 1, None);
        groups.add(&death("trap", "no order 1", 10), 2, Some("t"));
        groups.add(&death("error", "no order 17\nmore", 20), 3, Some("o-17"));
        groups.add(&Death::default(), 4, None);
        let (groups, others) = groups.sorted();
        assert_eq!((groups.len(), others), (3, 0));
        let first = &groups[0];
        assert_eq!((first.count, first.error.as_str()), (2, "no order #"));
        assert_eq!((first.first, first.last), (Some(20), Some(30)));
        // An example that has an id is easier to look at.
        assert_eq!((first.example.as_deref(), first.number), (Some("o-17"), 3));
        assert_eq!(first.key, GroupKey::of(&death("error", "no order 99", 0)));
    }

    /// A key is written down in scripts and links: it must not change from version to version.
    #[test]
    fn a_key_stays_what_it_is() {
        let key = GroupKey::of(&death("error", "order 17 has no price", 1));
        assert_eq!(key.to_string(), "eef1a6ba64");
        assert_eq!(GroupKey::parse("EEF1A6BA64"), Some(key));
        for text in ["", "eef1a6ba6", "eef1a6ba64g", "xef1a6ba64"] {
            assert_eq!(GroupKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_function_counts_and_its_line_does_not() {
        let key = |frame: &str| {
            let error = format!("wasm trap: unreachable in abort < {frame}");
            GroupKey::of(&death("trap", &error, 1))
        };
        // The functions are in the first line too, where numbers do not count.
        assert_eq!(key("price (lib.rs:12)"), key("price (lib.rs:99)"));
        assert_ne!(key("price (lib.rs:12)"), key("handle (lib.rs:12)"));
        assert_eq!(without_line("price (orders.ts:12:9)"), "price (orders.ts)");
        assert_eq!(without_line("price"), "price");
    }

    #[test]
    fn any_number_of_messages_that_all_differ_take_the_memory_of_a_thousand_groups() {
        let mut groups = Groups::default();
        let letters = |mut number: u32| {
            let mut word = String::new();
            while number > 0 {
                word.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
                number /= 26;
            }
            word
        };
        const MESSAGES: u32 = 100_000;
        for number in 0..MESSAGES {
            let error = letters(number);
            groups.add(&death("error", &error, 1), number.into(), None);
        }
        assert!(groups.groups.capacity() <= 4 * MOST_GROUPS);
        let (groups, others) = groups.sorted();
        assert_eq!(groups.len(), MOST_GROUPS);
        let counted: u64 = groups.iter().map(|group| group.count).sum();
        assert_eq!(counted + others, u64::from(MESSAGES));
    }
}
