//! A message as it comes off the wire: [`Arrived`].

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;

/// What `basic.deliver` and its content say.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

impl From<Delivery> for Arrived {
    fn from(delivery: Delivery) -> Self {
        let Delivery {
            delivery_tag,
            exchange,
            routing_key,
            redelivered,
            properties,
            data,
            ..
        } = delivery;
        Self {
            tag: delivery_tag,
            redelivered,
            exchange,
            routing_key,
            properties,
            body: data,
        }
    }
}
