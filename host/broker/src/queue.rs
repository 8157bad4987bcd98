//! A queue: what it holds, who gets it next, and what becomes of it. Pure: no socket, no task, and the time
//! is an argument of every decision.

mod arguments;
mod consumers;
mod messages;
mod stream;

pub(crate) use self::arguments::{Arguments, QueueKind, assert_equivalent};
pub(crate) use self::consumers::{ChannelKey, Consumer, ConsumerKey};
pub(crate) use self::messages::{
    Dead, Delivered, Delivery, Push, Queue, QueueId, Settlement, described,
};
pub(crate) use self::stream::Offset;
