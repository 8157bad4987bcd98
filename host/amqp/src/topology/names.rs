//! The names that a topology sends to the broker, and those that are too long for it.

use std::time::{Duration, SystemTime};

use hive_core::codes::Code;
use hive_core::moments::day;

use super::Topology;
use crate::message::delay::{LONGEST_DELAY, delay_queue_name};
use crate::session::fault::Mismatch;

/// AMQP's longest name.
pub(super) const LONGEST_NAME: usize = 255;

impl Topology {
    /// A mismatch for each name that no broker takes.
    pub(super) fn too_long(&self) -> Vec<Mismatch> {
        let names = self.names().filter(|name| name.len() > LONGEST_NAME);
        names.map(|name| name_too_long(&name)).collect()
    }

    /// Every name that goes to the broker as a short string.
    fn names(&self) -> impl Iterator<Item = String> {
        let mut names = Vec::new();
        for exchange in &self.plan.exchanges {
            names.extend([exchange.name.clone(), exchange.kind.clone()]);
            for binding in &exchange.bindings {
                names.extend([binding.exchange.clone(), binding.routing_key.clone()]);
            }
        }
        for queue in &self.plan.queues {
            names.push(queue.name.to_string());
            for binding in &queue.bindings {
                names.extend([binding.exchange.clone(), binding.routing_key.clone()]);
            }
        }
        for consumed in &self.consumed {
            names.push(consumed.queue.to_string());
            if let Some(failures) = &consumed.failures {
                names.push(failures.dead_letter.to_string());
                if !failures.delays.is_empty() && !failures.shares() {
                    names.push(longest_delay_queue(&consumed.queue));
                }
            }
        }
        names.into_iter()
    }
}

/// No delay queue of a queue has a longer name than this one.
fn longest_delay_queue(queue: &str) -> String {
    let longest = LONGEST_DELAY - Duration::from_millis(1);
    let name = delay_queue_name(queue, longest);
    format!("{name}.{}", day(SystemTime::UNIX_EPOCH))
}

fn name_too_long(name: &str) -> Mismatch {
    Mismatch {
        entity: format!("the name {name:?}"),
        answer: format!("longer than {LONGEST_NAME} bytes"),
        remedy: "choose a shorter name".into(),
        code: Code::NameTooLong,
    }
}

#[cfg(test)]
mod tests {
    use hive_config::LONGEST_RETRIED;

    use super::*;

    #[test]
    fn check_knows_the_longest_name() {
        let queue = "q".repeat(LONGEST_RETRIED);
        assert_eq!(longest_delay_queue(&queue).len(), LONGEST_NAME);
    }
}
