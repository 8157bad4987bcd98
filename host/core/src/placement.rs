//! Which host consumes a queue that one host at a time consumes.
//!
//! Every host subscribes with a priority of its own, and the broker gives the queue to the highest. The priority is a
//! hash of the queue and the host (rendezvous hashing): each host computes its own without knowing the others, the
//! queues spread evenly, and when a host goes only its queues move.

use sha2::{Digest, Sha256};

/// The priority with which `host` subscribes to `queue`: 0 to 2^31 - 1, which every version of the broker takes.
pub fn priority(queue: &str, host: &str) -> i32 {
    let mut hash = Sha256::new();
    // With its length, so that no other pair of names is the same text.
    hash.update((queue.len() as u64).to_be_bytes());
    hash.update(queue);
    hash.update(host);
    let hash = hash.finalize();
    i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) & i32::MAX
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const QUEUES: usize = 10_000;

    /// The host of each queue.
    fn homes<'a>(hosts: &[&'a str]) -> Vec<&'a str> {
        let queues = (0..QUEUES).map(|number| format!("tenant.{number}.events"));
        let home = |queue: String| {
            hosts
                .iter()
                .copied()
                .max_by_key(|host| priority(&queue, host))
        };
        queues.filter_map(home).collect()
    }

    /// How many queues each host has.
    fn spread<'a>(homes: &[&'a str]) -> BTreeMap<&'a str, usize> {
        let mut spread = BTreeMap::new();
        for home in homes {
            *spread.entry(*home).or_default() += 1;
        }
        spread
    }

    #[test]
    fn queues_spread_evenly_over_hosts() {
        for hosts in [
            &["a", "b", "c"][..],
            &["hive-0", "hive-1", "hive-2", "hive-3"],
        ] {
            let even = QUEUES / hosts.len();
            for (host, queues) in spread(&homes(hosts)) {
                assert!(
                    queues.abs_diff(even) * 20 < even,
                    "{host} has {queues}, not about {even}"
                );
            }
        }
    }

    #[test]
    fn only_the_queues_of_a_host_that_goes_move() {
        let before = homes(&["a", "b", "c"]);
        let after = homes(&["a", "b"]);
        for (before, after) in before.iter().zip(&after) {
            assert!(*before == "c" || before == after);
        }
        let moved = before.iter().zip(&after);
        let inherited: Vec<_> = moved.filter(|(before, _)| **before == "c").collect();
        let to_a = inherited.iter().filter(|(_, after)| **after == "a").count();
        assert!(
            to_a.abs_diff(inherited.len() / 2) * 10 < inherited.len(),
            "{to_a} of {}",
            inherited.len()
        );
    }

    /// A host of the next version must find its queues where they are.
    #[test]
    fn a_priority_never_changes() {
        assert_eq!(priority("orders", "hive-0"), 1_342_324_807);
        assert_ne!(priority("ab", "c"), priority("a", "bc"));
    }
}
