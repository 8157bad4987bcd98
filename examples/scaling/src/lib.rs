//! Counts the primes below a number: work that takes as long as the message says.
//!
//! How many instances do it at once is nothing that the component knows of. The host starts them as
//! the queue grows, and tells each that it stops when it is not needed any more.

use hive_guest::{Action, Delivery, Publication, StopReason};
use serde::{Deserialize, Serialize};

/// The queue of the answers.
const COUNTED: &str = "primes.counted";

/// More would take longer than `timeout` in hive.toml.
const MOST: u32 = 20_000_000;

/// What arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: String,
    below: u32,
}

/// What is published.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Answer {
    id: String,
    below: u32,
    primes: usize,
}

#[hive_guest::consumer(stop = stop)]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let question: Question = match delivery.json() {
        Ok(question) => question,
        // It will be as malformed next time.
        Err(error) => return Ok(Action::reject(error)),
    };
    if question.below > MOST {
        let reason = format!("{} is more than {MOST}", question.below);
        return Ok(Action::reject(reason));
    }
    let answer = Answer {
        primes: primes_below(question.below),
        id: question.id,
        below: question.below,
    };
    Ok(Publication::to("", COUNTED).json(&answer)?.into())
}

/// Here an instance would close what it has open.
#[expect(clippy::print_stdout, reason = "what a component prints is its log")]
fn stop(reason: StopReason) {
    println!("not needed any more: {reason:?}");
}

/// The sieve of Eratosthenes.
fn primes_below(end: u32) -> usize {
    let mut is_prime = vec![true; end as usize];
    let mut count = 0;
    for number in 2..is_prime.len() {
        if !is_prime[number] {
            continue;
        }
        count += 1;
        // The square of a large one is beyond 32 bits, and beyond the end.
        let first = number.saturating_mul(number);
        for multiple in (first..is_prime.len()).step_by(number) {
            is_prime[multiple] = false;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn primes_are_counted() {
        let known = [
            (0, 0),
            (2, 0),
            (3, 1),
            (10, 4),
            (100, 25),
            (10_000_000, 664_579),
        ];
        for (below, primes) in known {
            assert_eq!(primes_below(below), primes, "below {below}");
        }
    }

    #[test]
    fn the_answer_names_the_question() {
        let question = json!({ "id": "p-1", "below": 100 });
        let action = handle(DeliveryBuilder::new().json(&question).build()).unwrap();
        let [publication] = action.publications() else {
            panic!("expected one publication, got {action:?}");
        };
        assert_eq!(publication.routing_key, COUNTED);
        assert_eq!(
            publication.message.json::<Value>().unwrap(),
            json!({ "id": "p-1", "below": 100, "primes": 25 })
        );
    }

    #[test]
    fn what_is_no_question_or_too_much_is_rejected() {
        for body in [
            json!({ "id": "p-2" }),
            json!({ "id": "p-3", "below": u32::MAX }),
        ] {
            let action = handle(DeliveryBuilder::new().json(&body).build()).unwrap();
            assert!(action.as_reject().is_some(), "{body}");
        }
    }
}
