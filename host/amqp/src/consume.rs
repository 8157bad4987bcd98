//! Deliveries: subscriptions, the ack of each delivery, streams.

pub(crate) mod acks;
pub(crate) mod consumer;
pub(crate) mod giving_back;
pub(crate) mod settlement;
pub(crate) mod stream;
