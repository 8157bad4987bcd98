//! One try to consume from a queue, from the channel to the consumer: [`Subscribing`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hive_config::plan::{ConsumerPlan, Placement};
use hive_lifecycle::Tasks;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Intake;
use super::live::Live;
use super::resizing::{Resized, Resizing};
use super::terms::Terms;
use crate::consume::acks::flusher;
use crate::consume::acks::sink::Subscribed;
use crate::consume::stream::{Beginning, Reading, last_offset};
use crate::message::names::{cut_short, short};
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave};
use crate::session::seats::Seat;
use crate::topology::Fatal;
use crate::wire::frame::BrokerVersion;
use crate::wire::in_flight::Share;

/// A message of a stream that is there is handed out at once; one that is not there never is, and
/// nothing says so.
const OVERDUE: Duration = Duration::from_secs(10);

/// Distinguishes the consumer tags of one host.
static SUBSCRIPTIONS: AtomicU64 = AtomicU64::new(1);

/// The parameters of a subscription.
#[derive(Debug)]
pub(super) struct Subscribing {
    pub(super) plan: Arc<ConsumerPlan>,
    pub(super) tag_prefix: String,
    pub(super) terms: Terms,
    pub(super) tasks: Tasks,
    /// The memory that its bodies take.
    pub(super) share: Arc<Share>,
    /// Where the queue is a stream.
    pub(super) reading: Option<Arc<Reading>>,
    /// Over what the broker ends the connection.
    pub(super) fatal: Arc<Fatal>,
}

impl Subscribing {
    /// Runs to its end even if its caller is gone: the broker cannot take a question back, and would deliver to
    /// a channel that no task reads. A result without a receiver closes its channel.
    pub(super) fn start(
        self: &Arc<Self>,
        seat: Seat,
        intake: Intake,
        prefetch: u16,
    ) -> JoinHandle<Result<Live, AskFault>> {
        let subscribing = Arc::clone(self);
        self.tasks
            .spawn_service(async move { subscribing.consume(seat, intake, prefetch).await })
    }

    /// Subscribes again with another prefetch. Runs to its end, as above.
    pub(super) fn resize(
        &self,
        live: &mut Live,
        prefetch: u16,
    ) -> JoinHandle<Result<Resized, AskFault>> {
        let after = self.tag();
        let session = live.session.upgrade();
        let mut arguments = FieldTable::default();
        self.terms
            .add_to(&mut arguments, session.and_then(|session| session.broker()));
        let resizing = Resizing {
            queue: short(&self.plan.queue),
            prefetch,
            queue_stays: self.plan.queue_stays,
            before: std::mem::replace(&mut live.tag, after.clone()),
            after,
            arguments,
            drain: self.tasks.drain().clone(),
        };
        let sink = Arc::clone(&live.sink);
        self.tasks
            .spawn_service(async move { resizing.carry_out(&sink).await })
    }

    async fn consume(&self, seat: Seat, intake: Intake, prefetch: u16) -> Result<Live, AskFault> {
        let session = &Arc::clone(seat.session());
        let _turn = session.turn_to_subscribe().await;
        let prefetch = match intake {
            Intake::One(_) => 1,
            Intake::All | Intake::Nothing => prefetch,
        };
        let channel = self
            .open_channel(session, prefetch)
            .await
            .inspect_err(|fault| {
                if matches!(fault, AskFault::Silent) {
                    session.discard();
                }
            })?;
        let (end, arrivals) = session.endings().watch_consuming(channel.id(), &self.share);
        self.find_the_end(session).await?;
        let tag = self.tag();
        let _alone = self.fatal.turn().await;
        let beginning = self.reading.as_ref().map(|reading| reading.begin());
        let mut arguments = beginning.map_or_else(FieldTable::default, Beginning::arguments);
        self.terms.add_to(&mut arguments, session.broker());
        let consuming = ask(channel.basic_consume(
            short(&self.plan.queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            arguments,
        ));
        let stream = match consuming.await {
            Ok(stream) => stream,
            Err(fault) => {
                // A quorum queue without a leader answers when it has one, and holds up only this channel. Its
                // deliveries go back when the channel closes afterwards.
                if matches!(fault, AskFault::Silent) {
                    leave(&channel, "the queue does not answer").await;
                }
                return Err(fault);
            }
        };
        let is_single = self.plan.placement == Placement::Single;
        // Of several that one at a time consumes, the others get nothing.
        let is_new = session
            .broker()
            .is_some_and(|broker| broker >= BrokerVersion::ACTIVE_BY_PRIORITY);
        let may_be_neglected = !(is_single && is_new);
        let subscribed = Subscribed {
            channel,
            end,
            queue: short(&self.plan.queue),
            consumer_tag: tag.clone(),
            prefetch,
            is_single,
            is_discovered: self.plan.is_discovered(),
            may_be_neglected,
        };
        let sink = flusher::start(subscribed, session.clone(), Some(seat), &self.tasks);
        sink.keep(&stream);
        if self.reading.is_some() {
            sink.is_of_a_stream();
        }
        Ok(Live {
            stream,
            arrivals,
            tag,
            ahead: VecDeque::new(),
            ended: None,
            sink,
            session: Arc::downgrade(session),
            overdue: beginning
                .is_some_and(|beginning| beginning.is_handled)
                .then(|| Instant::now() + OVERDUE),
            is_overdue: false,
            intake,
            gently: false,
        })
    }

    async fn open_channel(
        &self,
        session: &SharedSession,
        prefetch: u16,
    ) -> Result<Channel, AskFault> {
        let channel = session.channel().await?;
        ask(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        Ok(channel)
    }

    /// A consumer tag that was not used before.
    fn tag(&self) -> ShortString {
        let number = SUBSCRIPTIONS.fetch_add(1, Ordering::Relaxed);
        cut_short(&format!("{}.{number}", self.tag_prefix))
    }

    /// Turns `offset = "next"` into a number when the stream is first read. Without a number, messages that are
    /// published while the connection is down, before the first message, would be skipped.
    async fn find_the_end(&self, session: &SharedSession) -> Result<(), AskFault> {
        let Some(reading) = self.reading.as_ref().filter(|r| r.begins_at_the_end()) else {
            return Ok(());
        };
        let channel = self.open_channel(session, 1).await?;
        let found = last_offset(&channel, short(&self.plan.queue), self.tag()).await;
        leave(&channel, "the end of the stream is known").await;
        if let Some(last) = found? {
            reading.resume(last + 1);
        }
        Ok(())
    }
}
