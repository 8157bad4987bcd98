//! Who is in a group, as far as one of its hosts has heard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Member;

/// The most members that are remembered: whoever may publish to the exchange could name any number.
const MOST: usize = 1_000;

/// The other members of the group, by their ids.
#[derive(Debug, Default)]
pub struct Table {
    members: BTreeMap<String, Heard>,
}

/// A member, and when it was heard last: an age of the process.
#[derive(Debug)]
struct Heard {
    member: Member,
    at: Duration,
}

impl Table {
    /// A message of `member` has come. Returns whether it is a new one.
    pub fn heard(&mut self, member: Member, now: Duration) -> bool {
        if let Some(heard) = self.members.get_mut(&member.id) {
            *heard = Heard { member, at: now };
            return false;
        }
        if self.members.len() >= MOST {
            return false;
        }
        let id = member.id.clone();
        let heard = Heard { member, at: now };
        self.members.insert(id, heard).is_none()
    }

    /// The broker has no queue for this member: it has gone.
    pub fn gone(&mut self, id: &str) -> Option<Member> {
        self.members.remove(id).map(|heard| heard.member)
    }

    /// All members, in the order of their names.
    pub fn all(&self) -> Vec<Member> {
        let mut all: Vec<_> = self
            .members
            .values()
            .map(|one| one.member.clone())
            .collect();
        all.sort_by(|one, other| (&one.host, &one.id).cmp(&(&other.host, &other.id)));
        all
    }

    /// The ids of those that were not heard for this long.
    pub fn silent(&self, since: Duration, now: Duration) -> Vec<String> {
        let silent = self.members.values();
        let silent = silent.filter(|one| now.saturating_sub(one.at) >= since);
        silent.map(|one| one.member.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: usize, host: &str) -> Member {
        Member {
            id: format!("{id:032x}"),
            host: host.to_owned(),
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_member_is_there_from_its_first_message_until_it_has_gone() {
        let at = Duration::from_secs;
        let mut table = Table::default();
        assert!(table.heard(member(1, "b"), at(0)));
        assert!(table.heard(member(2, "a"), at(5)));
        assert!(!table.heard(member(1, "b"), at(10)));
        assert_eq!(table.all(), [member(2, "a"), member(1, "b")]);
        assert_eq!(table.silent(at(30), at(34)), [""; 0]);
        assert_eq!(table.silent(at(30), at(35)), [member(2, "a").id]);
        assert_eq!(table.gone(&member(2, "a").id), Some(member(2, "a")));
        assert_eq!(table.gone(&member(2, "a").id), None);
        assert_eq!(table.all(), [member(1, "b")]);
    }

    #[test]
    fn a_flood_of_names_is_not_remembered() {
        let mut table = Table::default();
        for number in 0..2 * MOST {
            table.heard(member(number, "x"), Duration::ZERO);
        }
        assert_eq!(table.all().len(), MOST);
    }
}
