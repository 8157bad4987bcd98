//! Schedules: when one fires, what was missed, and which token counts. Pure: whoever asks has the clock and the broker.
//!
//! Everything that names `croner` and `jiff` is here.

mod changes;
mod due;
mod moment;
mod times;
mod token;
mod turn;

pub use changes::{ClockChange, Effect};
pub use due::{Due, MOST_MISSED, Missed, ON_TIME, due};
pub use moment::Moment;
pub use times::{BadTimes, Times};
pub use token::{NotAToken, Token};
pub use turn::{Held, Step, Turn};

/// The id of the message of a firing: whoever publishes it again, publishes the same.
pub fn message_id(schedule: &str, planned: Moment) -> String {
    format!("schedule:{schedule}:{planned}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_firing_is_its_schedule_and_its_time() {
        let planned = Moment::from_millis(1_795_921_200_000);
        assert_eq!(
            message_id("nightly", planned),
            "schedule:nightly:2026-11-29T03:00:00Z"
        );
    }
}
