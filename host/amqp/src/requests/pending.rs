//! Requests that wait for their replies, by correlation id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hive_core::message::Message;
use tokio::sync::oneshot;

/// Those that wait on one queue. Each of them is an instance that does nothing else, so there are no more than instances.
#[derive(Debug)]
pub(super) struct Pending(Mutex<Option<Waiting>>);

type Waiting = HashMap<String, oneshot::Sender<Message>>;

/// A request that waits for its reply; when this is gone, it does not any more.
#[derive(Debug)]
pub(super) struct Awaited {
    id: String,
    pending: Arc<Pending>,
    reply: oneshot::Receiver<Message>,
}

impl Pending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(HashMap::new()))))
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more that waits, by an id that cannot be guessed.
    pub(super) fn wait(self: &Arc<Self>) -> Awaited {
        let id = unguessable();
        let (answer, reply) = oneshot::channel();
        if let Some(waiting) = &mut *self.waiting() {
            waiting.insert(id.clone(), answer);
        }
        Awaited {
            id,
            pending: Arc::clone(self),
            reply,
        }
    }

    /// Hands a reply to the request that waits for it. `Err` has the correlation id of a reply that none waits for.
    pub(super) fn answer(&self, reply: Message) -> Result<(), Option<String>> {
        let id = reply.properties.correlation_id.clone();
        let found = id
            .as_ref()
            .and_then(|id| self.waiting().as_mut()?.remove(id));
        let Some(answer) = found else {
            return Err(id);
        };
        answer.send(reply).map_err(|_| id)
    }

    /// No reply comes any more.
    pub(super) fn give_up(&self) {
        self.waiting().take();
    }
}

impl Awaited {
    /// What the reply is known by.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The reply; `None` if there will be none.
    pub(super) async fn reply(mut self) -> Option<Message> {
        (&mut self.reply).await.ok()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *self.pending.waiting() {
            waiting.remove(&self.id);
        }
    }
}

/// 128 random bits.
pub(super) fn unguessable() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hive_core::message::Properties;

    use super::*;

    fn reply(id: Option<&str>, body: &str) -> Message {
        Message {
            properties: Properties {
                correlation_id: id.map(Into::into),
                ..Properties::default()
            },
            body: body.to_owned().into(),
        }
    }

    fn body(awaited: &mut Awaited) -> Option<Bytes> {
        awaited.reply.try_recv().ok().map(|reply| reply.body)
    }

    #[test]
    fn each_gets_its_own_and_once() {
        let pending = Pending::new();
        let (mut one, mut other) = (pending.wait(), pending.wait());
        assert_ne!(one.id, other.id);
        assert_eq!(pending.answer(reply(Some(&other.id), "b")), Ok(()));
        assert_eq!(pending.answer(reply(Some(&one.id), "a")), Ok(()));
        let again = pending.answer(reply(Some(&one.id), "again"));
        assert_eq!(again, Err(Some(one.id.clone())));
        assert_eq!(body(&mut one).as_deref(), Some(&b"a"[..]));
        assert_eq!(body(&mut other).as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn what_no_request_waits_for_is_nobodys() {
        let pending = Pending::new();
        let gone = pending.wait();
        let id = gone.id.clone();
        drop(gone);
        for other in [None, Some(""), Some("0"), Some(id.as_str())] {
            assert!(pending.answer(reply(other, "")).is_err(), "{other:?}");
        }
        assert!(pending.waiting().as_ref().unwrap().is_empty());
    }

    #[test]
    fn nothing_is_waited_for_when_no_reply_comes_any_more() {
        let pending = Pending::new();
        let mut before = pending.wait();
        pending.give_up();
        let mut after = pending.wait();
        for awaited in [&mut before, &mut after] {
            let closed = awaited.reply.try_recv().unwrap_err();
            assert_eq!(closed, oneshot::error::TryRecvError::Closed);
        }
    }
}
