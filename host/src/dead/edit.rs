//! Edits a dead letter and sends it, so that an interruption at any step sends nothing twice and loses nothing.
//!
//! 1. The edited message is published to the dead-letter queue, with a note of which dead letter it replaces. Call
//!    it the draft. It is confirmed.
//! 2. The dead letter is acknowledged, and the channel closed: the broker has the ack when it answers that.
//! 3. The edited message is published to its queue, and confirmed.
//! 4. The draft is acknowledged.
//!
//! So a draft beside its dead letter was never sent, and the next edit starts afresh. A draft alone may have been sent:
//! it is sent again only by somebody who says so. [`find`] tells the two apart, [`finish`] looks whether the message
//! is in its queue. Nothing else sends a draft: [`super::replay`] leaves it.
//!
//! The road not taken is an AMQP transaction of publication and ack. It is atomic for the one who sends it, but the
//! ack in it is carried out even if the queue refuses the message or is gone: the message would be lost.

use hive_amqp::{
    BrowseFault, Connection, EditOf, Letter, LookCost, Outgoing, PublishFault, Publisher,
    Unpublishable,
};
use hive_config::plan::Plan;
use hive_contracts::Contract;
use hive_core::dead::{Death, Draft};
use hive_core::message::{Envelope, Message, RESERVED};
use hive_lifecycle::{Tasks, failpoint};

use super::{Filter, Numbered, Walk, Wanted};

/// The most letters that are kept of those that match: with a second one there is nothing to edit.
const KEPT: usize = 2;

/// Where dead letters are, and how they are reached.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The dead-letter queue.
    pub queue: &'a str,
    /// The connection to it.
    pub connection: &'a Connection,
    /// A publisher on that connection.
    pub publisher: &'a Publisher,
    /// Where what reads the queue runs.
    pub tasks: &'a Tasks,
}

/// Why a dead letter is not edited.
#[derive(Debug, thiserror::Error)]
pub enum EditFault {
    /// The queue cannot be read.
    #[error(transparent)]
    Unread(#[from] BrowseFault),
    /// The message cannot be published as it is wanted.
    #[error("{0}; nothing was changed")]
    Unpublishable(String),
    /// Somebody else has taken it.
    #[error("the dead letter is not in {0:?} any more; nothing was changed")]
    Gone(String),
    /// It waits for a retry, and is no dead letter.
    #[error(
        "it waits for a retry; dead-letter it first, with `hive-host dead letter`; nothing was changed"
    )]
    Waits,
    /// Nothing says where it belongs.
    #[error("nothing on it says which queue it was in; name one with --to; nothing was changed")]
    Homeless,
    /// It would be sent to where it is.
    #[error("it died in {0:?} itself; name another queue with --to; nothing was changed")]
    AtHome(String),
    /// It was not sent.
    #[error("{0}; it was not sent, and is dead as it was before the edit")]
    NotSent(String),
    /// The connection broke.
    #[error("{0}; run the same command again: it says how far this one came")]
    Unknown(String),
}

impl EditFault {
    fn broken() -> Self {
        Self::Unknown("the connection broke while the dead letter was replaced".to_owned())
    }
}

/// What a dead-letter queue has of the letter that is meant.
#[derive(Debug)]
pub enum Found {
    /// No letter.
    None,
    /// More than one.
    Several(u64),
    /// A dead letter, which no edit has touched, or only one that has sent nothing.
    Letter(Box<Letter>),
    /// The draft of an edit that was interrupted when it may have been sent.
    Draft {
        /// The draft.
        draft: Box<Letter>,
        /// Whether what it was sent as is dead again, so that it is known to have been sent.
        is_back: bool,
    },
}

/// The result of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The message-id of what was sent.
    pub message_id: String,
    /// The queue that it was sent to.
    pub to: String,
}

/// Looks for the letter that is known by `id`, and meets `filter`.
///
/// # Errors
///
/// See [`Walk::next`].
pub async fn find(place: &Place<'_>, id: Option<&str>, filter: Filter) -> Result<Found, EditFault> {
    let mut walk = place.walk().await?;
    let mut letters: Vec<Letter> = Vec::new();
    let mut drafts: Vec<Letter> = Vec::new();
    let mut ids = Vec::new();
    let mut matched = 0;
    while let Some(one) = walk.next().await? {
        let known_by = |letter: &Letter, id: &str| match &letter.edit {
            Some(edit) => edit.identity == id,
            None => letter.identity() == id || letter.delivery.original.message_id() == Some(id),
        };
        let is_meant =
            id.is_none_or(|id| known_by(&one.letter, id)) && filter.matches(&one, walk.began());
        if one.letter.edit.is_none() {
            ids.extend(one.letter.delivery.original.message_id().map(str::to_owned));
        }
        if !is_meant {
            continue;
        }
        match one.letter.edit.is_some() {
            // One that was made later is behind it.
            true => drafts.insert(0, one.letter),
            false => {
                matched += 1;
                letters.push(one.letter);
            }
        }
        letters.truncate(KEPT);
        drafts.truncate(KEPT);
    }
    walk.end().await;
    let is_of_letter = |draft: &Letter| {
        let of = draft.edit.as_ref().map(|edit| &edit.fingerprint);
        letters
            .iter()
            .any(|letter| of == Some(&fingerprint(letter)))
    };
    // A draft beside its letter was not sent.
    drafts.retain(|draft| !is_of_letter(draft));
    Ok(match (letters.pop(), drafts.is_empty()) {
        (None, true) => Found::None,
        (Some(letter), true) if matched == 1 => Found::Letter(Box::new(letter)),
        (None, false) => {
            let draft = Box::new(drafts.swap_remove(0));
            let is_back = draft
                .delivery
                .original
                .message_id()
                .is_some_and(|sent| ids.iter().any(|id| id == sent));
            Found::Draft { draft, is_back }
        }
        (Some(_), _) => Found::Several(matched + drafts.len() as u64),
    })
}

/// The letter as it can be edited.
pub fn draft_of(letter: &Letter) -> Draft {
    let envelope = &letter.delivery.envelope;
    let mut message = envelope.message.clone();
    let headers = &mut message.properties.headers;
    // The host's own are not edited.
    headers.retain(|(name, _)| !name.starts_with(RESERVED));
    // The edit gives it one of its own.
    message.properties.message_id = None;
    let routing_key = letter.death.routing_key.clone();
    Draft {
        message,
        routing_key: routing_key.unwrap_or_else(|| envelope.routing_key.clone()),
    }
}

/// Holds the edited message against the contracts of the consumers of the queue that it goes to.
///
/// # Errors
///
/// In words: what does not match, where, and whose contract it is.
pub fn contracts(plan: &Plan, to: &str, draft: &Draft) -> Result<(), String> {
    let consumers = plan.consumers.values();
    let held = consumers.filter(|consumer| *consumer.queue == *to);
    for consumer in held {
        let contract: Option<&Contract> = consumer.schema.as_deref();
        if let Some(contract) = contract {
            let Draft {
                message,
                routing_key,
            } = draft.clone();
            let envelope = envelope(message, to, routing_key);
            contract
                .admit(&envelope)
                .map_err(|reason| format!("[consumers.{}.schema]: {reason}", consumer.name))?;
        }
    }
    Ok(())
}

/// Replaces `letter` by `draft` in the dead-letter queue, and then sends that to the queue `to` or to the one in which
/// the letter failed.
///
/// # Errors
///
/// See [`EditFault`]; each says what was done.
pub async fn replace_and_send(
    place: &Place<'_>,
    letter: &Letter,
    draft: Draft,
    to: Option<&str>,
) -> Result<Edited, EditFault> {
    if letter.waiting.is_some() {
        return Err(EditFault::Waits);
    }
    let home = to
        .or(letter.death.queue.as_deref())
        .ok_or(EditFault::Homeless)?;
    if home == place.queue {
        return Err(EditFault::AtHome(home.to_owned()));
    }
    let death = Death {
        queue: Some(home.to_owned()),
        routing_key: Some(draft.routing_key.clone()),
        ..letter.death.clone()
    };
    let note = letter.edit.clone().unwrap_or_else(|| EditOf {
        identity: letter.identity(),
        fingerprint: fingerprint(letter),
    });
    let unpublishable = |fault: Unpublishable| EditFault::Unpublishable(fault.0);
    let edited = letter
        .delivery
        .original
        .edited(&draft.message.properties, &draft.routing_key)
        .map_err(unpublishable)?;
    let edited = edited
        .with_id_of_edit(&note.identity, &draft.message.body)
        .map_err(unpublishable)?;
    let message_id = edited.message_id().unwrap_or_default().to_owned();
    let limits = place.connection.publish_limits();
    let in_queue = |edit| (place.queue, edit);
    let body = draft.message.body.clone();
    let dead = Outgoing::dead_again(&edited, body, &death, in_queue(Some(&note)), &limits);
    let dead = dead.map_err(unpublishable)?;
    // What cannot be sent, or put back, is found before anything is changed.
    let body = draft.message.body;
    let alive = Outgoing::republication(&edited, body, &death, home, &limits);
    let alive = alive.map_err(unpublishable)?;
    let body = letter.delivery.envelope.message.body.clone();
    let original = &letter.delivery.original;
    let before = in_queue(letter.edit.as_ref());
    let before = Outgoing::dead_again(original, body, &letter.death, before, &limits);
    let before = before.map_err(unpublishable)?;

    replace(place, letter, &note, dead).await?;
    failpoint::reached("edit.replaced");
    let mut walk = place.walk().await?;
    let found = walk.only_draft(&note, &message_id).await?;
    let Some(draft) = found else {
        walk.end().await;
        return Err(EditFault::broken());
    };
    let sent = publish(place, alive).await;
    failpoint::reached("edit.sent");
    if let Err(fault) = &sent
        && !is_known(fault)
    {
        walk.end().await;
        return Err(EditFault::Unknown(format!("{home:?}: {fault}")));
    }
    if let Err(fault) = &sent
        && let Err(broken) = publish(place, before).await
    {
        walk.end().await;
        return Err(EditFault::Unknown(format!("{home:?}: {fault}; {broken}")));
    }
    walk.ack(draft.letter.delivery.settlement);
    walk.take_no_more();
    walk.end().await;
    match sent {
        Ok(()) => Ok(Edited {
            message_id,
            to: home.to_owned(),
        }),
        Err(PublishFault::Unroutable { .. }) => Err(EditFault::NotSent(format!(
            "there is no queue {home:?}; name another with --to"
        ))),
        Err(fault) => Err(EditFault::NotSent(format!("{home:?}: {fault}"))),
    }
}

/// Publishes the draft and takes the letter out, with the drafts of earlier edits that have sent nothing.
async fn replace(
    place: &Place<'_>,
    letter: &Letter,
    note: &EditOf,
    draft: Outgoing,
) -> Result<(), EditFault> {
    let wanted = fingerprint(letter);
    let mut walk = place.walk().await?;
    let mut old: Option<Numbered> = None;
    let mut before = Vec::new();
    while let Some(one) = walk.next().await? {
        let is_letter = one.letter.edit == letter.edit && fingerprint(&one.letter) == wanted;
        let of = one.letter.edit.as_ref().map(|edit| &edit.fingerprint);
        let is_earlier = of == Some(&note.fingerprint);
        match () {
            () if is_letter && old.is_none() => old = Some(one),
            () if is_earlier => before.push(one.letter.delivery.settlement),
            () => {}
        }
    }
    let Some(old) = old else {
        walk.end().await;
        return Err(EditFault::Gone(place.queue.to_owned()));
    };
    failpoint::reached("edit.found");
    if let Err(fault) = publish(place, draft).await {
        walk.end().await;
        let queue = place.queue;
        return Err(match is_known(&fault) {
            true => EditFault::Unpublishable(format!("{queue:?}: {fault}")),
            false => EditFault::Unknown(format!("{queue:?}: {fault}")),
        });
    }
    failpoint::reached("edit.drafted");
    for settlement in before {
        walk.ack(settlement);
    }
    walk.ack(old.letter.delivery.settlement);
    walk.take_no_more();
    let lost = walk.lost();
    walk.end().await;
    match lost {
        0 => Ok(()),
        _ => Err(EditFault::broken()),
    }
}

/// Takes a draft out of the dead-letter queue if what it was sent as is known to have been sent: `is_back`, or it waits
/// in its queue. Whether it was.
///
/// # Errors
///
/// See [`Walk::next`].
pub async fn finish(place: &Place<'_>, draft: &Letter, is_back: bool) -> Result<bool, EditFault> {
    let (Some(note), Some(id)) = (&draft.edit, draft.delivery.original.message_id()) else {
        return Ok(false);
    };
    if !is_back && !is_in_its_queue(place, draft, id).await? {
        return Ok(false);
    }
    let mut walk = place.walk().await?;
    if let Some(draft) = walk.only_draft(note, id).await? {
        walk.ack(draft.letter.delivery.settlement);
        walk.take_no_more();
    }
    walk.end().await;
    Ok(true)
}

async fn is_in_its_queue(place: &Place<'_>, draft: &Letter, id: &str) -> Result<bool, EditFault> {
    let Some(queue) = &draft.death.queue else {
        return Ok(false);
    };
    // The look must not bring any message nearer to a limit of its queue.
    let cost = place.connection.cost_of_looking(queue).await;
    if !matches!(cost, Ok(LookCost::Free)) {
        return Ok(false);
    }
    let mut walk = Place { queue, ..*place }.walk().await?;
    let mut is_there = false;
    while let Some(one) = walk.next().await? {
        is_there |= one.letter.delivery.original.message_id() == Some(id);
    }
    walk.end().await;
    Ok(is_there)
}

impl Place<'_> {
    /// A walk over all that is there, which takes only what is acknowledged.
    async fn walk(&self) -> Result<Walk, BrowseFault> {
        let wanted = Wanted {
            filter: Filter::default(),
            limit: None,
            taken: false,
            held: false,
        };
        Walk::begin(self.connection, self.queue, wanted, self.tasks).await
    }
}

impl Walk {
    /// The draft with this note and message-id, unless the letter that it replaces is still there.
    async fn only_draft(
        &mut self,
        note: &EditOf,
        message_id: &str,
    ) -> Result<Option<Numbered>, BrowseFault> {
        let mut draft = None;
        let mut is_replaced = true;
        while let Some(one) = self.next().await? {
            match &one.letter.edit {
                Some(edit) if edit == note => {
                    if one.letter.delivery.original.message_id() == Some(message_id) {
                        draft = Some(one);
                    }
                }
                Some(_) => {}
                None => is_replaced &= fingerprint(&one.letter) != note.fingerprint,
            }
        }
        Ok(draft.filter(|_| is_replaced))
    }
}

fn fingerprint(letter: &Letter) -> String {
    let body = &letter.delivery.envelope.message.body;
    letter.delivery.original.written_fingerprint(body)
}

async fn publish(place: &Place<'_>, outgoing: Outgoing) -> Result<(), PublishFault> {
    let confirmation = place.publisher.publish(vec![outgoing]).await;
    confirmation.await
}

/// Whether the broker has said that it did not take the message.
fn is_known(fault: &PublishFault) -> bool {
    !matches!(fault, PublishFault::TimedOut | PublishFault::Disconnected)
}

fn envelope(message: Message, queue: &str, routing_key: String) -> Envelope {
    Envelope {
        message,
        queue: queue.into(),
        exchange: String::new(),
        routing_key,
        redelivered: false,
        attempt: hive_core::message::Attempt::FIRST,
        stream_offset: None,
    }
}
