//! Dead letters: what is known of an end, in words and as data, and which ends are alike. Pure.
//!
//! [`story`] tells the end of one message; [`Groups`] counts those that ended alike. Both take a [`Death`], whoever
//! wrote it on the message: the host or the broker.

mod death;
mod edit;
mod groups;
mod likeness;
mod stack;
mod story;

pub use self::death::{BrokersEntry, Death, Waits};
pub use self::edit::Draft;
pub use self::groups::{Group, GroupKey, Groups, MOST_GROUPS};
pub use self::likeness::alike;
pub use self::stack::{guest_stack, top_frame};
pub use self::story::{Story, story};
