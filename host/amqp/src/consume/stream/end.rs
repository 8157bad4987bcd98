//! The end of a stream: the meaning of `offset = "next"` as a number, which stays right after a lost connection
//! or a restart.
//!
//! The broker does not report it over AMQP 0-9-1, but delivers the chunk that was written last. The highest
//! offset of that chunk is the end, unless more was written meanwhile, which is delivered too.

use std::time::Duration;

use futures_util::StreamExt;
use hive_config::plan::StreamOffset;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::ShortString;
use tokio::time::{Instant, timeout};

use super::Beginning;
use crate::message::broker_headers::stream_offset;
use crate::session::limits::{AskFault, ask};

/// For the first message of the chunk.
const FIRST: Duration = Duration::from_secs(2);

/// After this long without a message, the chunk is over.
const QUIET: Duration = Duration::from_millis(300);

/// For the whole search: a publisher may write without a pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The highest offset of `queue`, read over a channel that is used for nothing else; `None` if no message came,
/// as from an empty stream.
pub(crate) async fn last_offset(
    channel: &Channel,
    queue: ShortString,
    tag: ShortString,
) -> Result<Option<u64>, AskFault> {
    let last = Beginning {
        offset: StreamOffset::Last,
        is_handled: false,
    };
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue, tag, options, last.arguments());
    let mut deliveries = ask(consuming).await?;
    let (mut highest, mut patience) = (None, FIRST);
    let until = Instant::now() + LONGEST;
    while Instant::now() < until
        && let Ok(Some(delivery)) = timeout(patience, deliveries.next()).await
    {
        let delivery = delivery.map_err(AskFault::Failed)?;
        highest = highest.max(stream_offset(&delivery.properties));
        let credit = channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default());
        ask(credit).await?;
        patience = QUIET;
    }
    Ok(highest)
}
