//! How often a message came back to its queue, as far as the broker says so: [`CameBack`].

use lapin::BasicProperties;

use super::broker_headers::delivery_count;

/// Whether a delivery was delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameBack {
    /// This is its first delivery, or the queue is a stream.
    Never,
    /// A quorum queue got it back this many times, whatever the reason; at least once.
    Counted(u32),
    /// It came back, and the broker does not say how often: a classic queue, or a quorum queue of
    /// RabbitMQ 4.3 that got it back in a way that it does not count.
    Uncounted,
}

impl CameBack {
    /// Reads it off a delivery. A count of zero says nothing: on a classic queue it is the
    /// publisher's own header.
    pub(crate) fn of(redelivered: bool, properties: &BasicProperties) -> Self {
        if !redelivered {
            return Self::Never;
        }
        match delivery_count(properties) {
            Some(count @ 1..) => Self::Counted(u32::try_from(count).unwrap_or(u32::MAX)),
            Some(0) | None => Self::Uncounted,
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;
    use crate::message::broker_headers::DELIVERY_COUNT;

    fn came_back(redelivered: bool, count: Option<AMQPValue>) -> CameBack {
        let mut properties = BasicProperties::default();
        if let Some(count) = count {
            let mut headers = FieldTable::default();
            headers.insert(DELIVERY_COUNT.into(), count);
            properties = properties.with_headers(headers);
        }
        CameBack::of(redelivered, &properties)
    }

    #[test]
    fn a_count_says_something_of_a_redelivery_alone_and_from_one_on() {
        let count = |count| Some(AMQPValue::LongLongInt(count));
        assert_eq!(came_back(false, None), CameBack::Never);
        assert_eq!(came_back(false, count(9)), CameBack::Never);
        assert_eq!(came_back(true, None), CameBack::Uncounted);
        assert_eq!(came_back(true, count(0)), CameBack::Uncounted);
        assert_eq!(came_back(true, count(-3)), CameBack::Uncounted);
        assert_eq!(came_back(true, count(3)), CameBack::Counted(3));
        let many = came_back(true, count(i64::MAX));
        assert_eq!(many, CameBack::Counted(u32::MAX));
        let text = Some(AMQPValue::LongString("3".into()));
        assert_eq!(came_back(true, text), CameBack::Uncounted);
    }
}
