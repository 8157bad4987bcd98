//! Messages between the hosts of a group: one exchange for all of them, and a queue for each, which its connection
//! takes away.
//!
//! The queue is consumed over the link for deliveries, on a channel of its own, and everything is published over the
//! other link: the broker stops reading from a connection that publishes when it is short of memory, and acks must
//! still get through. Whatever fails here is tried again slowly; no delivery waits for any of it.

mod entities;
mod posting;

use std::time::Duration;

use futures_util::StreamExt;
use hive_core::codes::{Code, Reason};
use hive_core::pauses::Pauses;
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use lapin::options::BasicAckOptions;
use tokio::sync::{mpsc, oneshot, watch};

use self::entities::Entities;
use self::posting::Post;
use crate::link::Link;
use crate::session::limits::{AskFault, leave};

/// Messages that may wait to be published, and to be read.
const ROOM: usize = 256;

/// The pauses between two attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The receiver of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Every member, the sender too.
    All,
    /// The member with this id.
    Member(String),
}

/// Why a message was not handed to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The broker has no queue for the receiver.
    #[error("it has gone")]
    Gone,
    /// The group cannot be reached now.
    #[error("{0}")]
    Away(Reason),
}

/// A host's place in a group, kept until its tasks close.
#[derive(Debug, Clone)]
pub struct Meeting {
    posts: mpsc::Sender<Post>,
    away: watch::Receiver<Option<Reason>>,
}

/// What a meeting is begun with.
pub struct Invitation<'a> {
    /// The group, a name of at most 100 bytes.
    pub group: &'a str,
    /// The id of this member: a few letters and digits.
    pub id: &'a str,
    /// The message to all with which this member comes, whenever it does.
    pub hello: Vec<u8>,
}

impl Meeting {
    pub(crate) fn begin(
        invitation: Invitation<'_>,
        consuming: &Link,
        publishing: &Link,
        tasks: &Tasks,
    ) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (posts, posted) = mpsc::channel(ROOM);
        let (heard, hear) = mpsc::channel(ROOM);
        let (tell, away) = watch::channel(Some("the connection cannot be used yet".into()));
        let member = Attending {
            entities: Entities::new(invitation.group, invitation.id),
            hello: invitation.hello,
            consuming: consuming.clone(),
            publishing: publishing.clone(),
            posted,
            heard,
            tell,
            told: None,
        };
        let close = tasks.close().clone();
        tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = member.attend() => {}
            }
        });
        (Self { posts, away }, hear)
    }

    /// Why the group cannot be reached; `None` while it can.
    pub fn away(&self) -> Option<Reason> {
        self.away.borrow().clone()
    }

    /// Sends a message, and waits until the broker has handed it to the queue of its receiver.
    ///
    /// # Errors
    ///
    /// The receiver has gone, or the group cannot be reached.
    pub async fn send(&self, to: To, body: Vec<u8>) -> Result<(), Unsent> {
        if let Some(reason) = self.away() {
            return Err(Unsent::Away(reason));
        }
        let (sent, answer) = oneshot::channel();
        if self.posts.send(Post { to, body, sent }).await.is_err() {
            return Err(Unsent::Away("the connection has ended".into()));
        }
        let lost = || Unsent::Away("the connection was lost".into());
        answer.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// The inside of a meeting.
struct Attending {
    entities: Entities,
    hello: Vec<u8>,
    consuming: Link,
    publishing: Link,
    posted: mpsc::Receiver<Post>,
    heard: mpsc::Sender<Vec<u8>>,
    tell: watch::Sender<Option<Reason>>,
    /// The last reason that was logged, so that each is logged once.
    told: Option<Reason>,
}

impl Attending {
    async fn attend(mut self) {
        let (first, longest) = PAUSES;
        let mut pauses = Pauses::new(first, longest);
        loop {
            let Some(reason) = self.attend_once().await else {
                return;
            };
            if self.tell.borrow().is_none() {
                pauses.reset();
            }
            self.note(reason);
            tokio::time::sleep(pauses.take()).await;
        }
    }

    /// Comes to the group and stays until something fails, which is the result; `None` once the links have ended.
    async fn attend_once(&mut self) -> Option<Reason> {
        // Those who sent these have waited long enough.
        while self.posted.try_recv().is_ok() {}
        let session = self.consuming.session().await?;
        let publishing = self.publishing.publishing_session().await?;
        let (channel, mut stream) = match self.entities.declare(&session).await {
            Ok(declared) => declared,
            Err(fault) => return Some(reason_of(&fault)),
        };
        let (has_come, is_there) = oneshot::channel();
        let posting = posting::Posting {
            session: &publishing,
            exchange: &self.entities.exchange,
            hello: &self.hello,
            posted: &mut self.posted,
            came: || {
                // Ends with the session, at the latest.
                let _nobody_waits = has_come.send(());
                self.tell.send_replace(None);
                self.told = None;
                Fact::GroupJoined {
                    group: &self.entities.group,
                    exchange: &self.entities.exchange,
                }
                .emit();
            },
        };
        let heard = &self.heard;
        let hearing = async {
            // What is heard before it has come could not be answered.
            if is_there.await.is_err() {
                return std::future::pending().await;
            }
            while let Some(Ok(delivery)) = stream.next().await {
                if let Err(error) = delivery.acker.ack(BasicAckOptions::default()).await {
                    tracing::debug!(%error, "a message of the group could not be acknowledged");
                }
                if heard.send(delivery.data).await.is_err() {
                    break;
                }
            }
        };
        let reason = tokio::select! {
            () = session.over().cancelled() => "the connection was lost".into(),
            () = publishing.over().cancelled() => "the connection was lost".into(),
            () = hearing => "the broker ended the channel of the group".into(),
            fault = posting.run() => reason_of(&fault),
        };
        leave(&channel, "the host leaves its group").await;
        Some(reason)
    }

    fn note(&mut self, reason: Reason) {
        // The state of the links is logged already; a denied right, or an exchange of another type, is not.
        if reason.code.is_some() && self.told.as_ref() != Some(&reason) {
            Fact::GroupUnavailable {
                group: &self.entities.group,
                code: reason.code.map(Code::as_str),
                reason: &reason.text,
            }
            .emit();
            self.told = Some(reason.clone());
        }
        self.tell.send_replace(Some(reason));
    }
}

fn reason_of(fault: &AskFault) -> Reason {
    Reason::new(fault.code(), fault)
}
