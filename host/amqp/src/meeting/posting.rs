//! Publishing to a group: one message at a time, each confirmed, so that a returned one is known to be that.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel};
use tokio::sync::{mpsc, oneshot};

use super::entities::ALL;
use super::{To, Unsent};
use crate::message::names::short;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave};

/// Milliseconds after which the broker drops a message that was not read. Nobody waits for an answer as long.
const EXPIRES: &str = "10000";

/// A message, and where its fate is reported.
pub(super) struct Post {
    pub(super) to: To,
    pub(super) body: Vec<u8>,
    pub(super) sent: oneshot::Sender<Result<(), Unsent>>,
}

/// Publishes on one session.
pub(super) struct Posting<'a, F> {
    pub(super) session: &'a SharedSession,
    pub(super) exchange: &'a str,
    /// The first message, to all.
    pub(super) hello: &'a [u8],
    pub(super) posted: &'a mut mpsc::Receiver<Post>,
    /// Called when the first message has arrived.
    pub(super) came: F,
}

impl<F: FnOnce()> Posting<'_, F> {
    /// Publishes until that fails, which is the result.
    pub(super) async fn run(self) -> AskFault {
        let channel = match self.session.channel().await {
            Ok(channel) => channel,
            Err(fault) => return fault,
        };
        let end = self.session.endings().watch(channel.id());
        let session = self.session;
        let fault = self.run_on(&channel).await;
        leave(&channel, "the host leaves its group").await;
        session.in_the_brokers_words(fault, &end)
    }

    async fn run_on(self, channel: &Channel) -> AskFault {
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        if let Err(fault) = ask(confirming).await {
            return fault;
        }
        let publish =
            async |key: &str, body: &[u8]| publish(channel, self.exchange, key, body).await;
        if let Err(fault) = publish(ALL, self.hello).await {
            return fault;
        }
        (self.came)();
        while let Some(Post { to, body, sent }) = self.posted.recv().await {
            let key = match &to {
                To::All => ALL,
                To::Member(id) => id,
            };
            let outcome = match publish(key, &body).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Unsent::Gone),
                Err(fault) => {
                    // The sender learns that the group is away.
                    drop(sent);
                    return fault;
                }
            };
            if sent.send(outcome).is_err() {
                tracing::trace!("the sender of a message to the group did not wait for its fate");
            }
        }
        std::future::pending().await
    }
}

/// Publishes one message. Whether the broker had a queue for it.
async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
) -> Result<bool, AskFault> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_expiration(EXPIRES.into());
    let confirmed = async {
        let publishing =
            channel.basic_publish(short(exchange), short(key), options, body, properties);
        publishing.await?.await
    };
    let confirmation = ask(confirmed).await?;
    // A queue that is full has dropped its oldest: none refuses.
    Ok(confirmation.take_message().is_none())
}
