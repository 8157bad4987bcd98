//! Keeps the balance of each account from a stream of movements.
//!
//! A stream is read again after a crash, from the offset that the host wrote down last. So each balance
//! is kept with the offset up to which it counts, and a movement that it has already is not added twice.

use hive_guest::keyvalue::Bucket;
use hive_guest::{Action, Delivery, Publication};
use serde::{Deserialize, Serialize};

/// The bucket with a balance for each account.
const BALANCES: &str = "balances";

/// The queue that is told of each new balance.
const TOLD: &str = "balances";

/// What arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Movement {
    account: String,
    /// What is added, in whole cents; what is taken is negative.
    cents: i64,
}

/// What is kept of an account, and published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Balance {
    account: String,
    cents: i64,
    /// The offset of the last movement that is in it.
    offset: u64,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let movement: Movement = match delivery.json() {
        Ok(movement) => movement,
        // It will be as malformed next time.
        Err(error) => return Ok(Action::reject(error)),
    };
    let offset = delivery
        .stream_offset
        .ok_or("this component reads a stream, and the queue is none")?;
    let failed = |error: hive_guest::keyvalue::Error| error.to_string();
    let bucket = Bucket::open(BALANCES).map_err(failed)?;
    let kept = match bucket.get(&movement.account).map_err(failed)? {
        Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| error.to_string())?),
        None => None,
    };
    let balance = after(kept, &movement, offset)?;
    let bytes = serde_json::to_vec(&balance).map_err(|error| error.to_string())?;
    bucket.set(&movement.account, &bytes).map_err(failed)?;
    // Told again where it was there already: nobody knows whether it was told the first time.
    Ok(Publication::to_queue(TOLD).json(&balance)?.into())
}

/// The balance with the movement at `offset` in it, once.
fn after(kept: Option<Balance>, movement: &Movement, offset: u64) -> Result<Balance, String> {
    let account = movement.account.clone();
    let cents = match kept {
        Some(kept) if kept.offset >= offset => return Ok(kept),
        Some(kept) => kept.cents.checked_add(movement.cents),
        None => Some(movement.cents),
    };
    match cents {
        Some(cents) => Ok(Balance {
            account,
            cents,
            offset,
        }),
        None => Err(format!("the balance of {account:?} is out of range")),
    }
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;

    use super::*;

    fn movement(cents: i64) -> Movement {
        Movement {
            account: "tea".into(),
            cents,
        }
    }

    #[test]
    fn a_movement_that_comes_twice_counts_once() {
        let first = after(None, &movement(500), 0).unwrap();
        let second = after(Some(first), &movement(-200), 7).unwrap();
        assert_eq!((second.cents, second.offset), (300, 7));
        let again = after(Some(second.clone()), &movement(-200), 7).unwrap();
        assert_eq!(again, second);
    }

    #[test]
    fn an_amount_that_is_no_money_is_an_error() {
        let rich = after(None, &movement(i64::MAX), 0).unwrap();
        assert!(
            after(Some(rich), &movement(1), 1)
                .unwrap_err()
                .contains("tea")
        );
    }

    #[test]
    fn what_is_no_movement_is_rejected() {
        let delivery = DeliveryBuilder::new().text("{}").stream_offset(3).build();
        let action = handle(delivery).unwrap();
        assert!(action.as_reject().unwrap().contains("account"));
    }
}
