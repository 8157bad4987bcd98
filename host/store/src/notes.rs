//! Notes of what one call does to a store, and the same call once more beside the store.
//!
//! The first call works on the store, and what it finds there is noted. The second call, of another version of the same
//! component, finds what the first one found, although the store has changed since; what it writes stays in its notes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::operation::{Effect, Entry, decide};
use super::{Answer, Clock, Namespace, Operation, Page, Promised, Store, Write};

/// Bytes of keys and values that are noted of one call.
const MOST: usize = 1 << 20;

/// What one call found in a store and wrote.
#[derive(Debug, Default)]
pub struct Notes {
    /// Those of the first call, if this is the second one.
    before: Option<Arc<Notes>>,
    noted: Mutex<Noteworthy>,
}

#[derive(Debug, Default)]
struct Noteworthy {
    /// Values as the call found them.
    found: BTreeMap<Place, Option<Vec<u8>>>,
    /// Values by the writes of the call.
    written: BTreeMap<Place, Option<Vec<u8>>>,
    bytes: usize,
    spoilt: Option<String>,
}

/// A namespace and a key.
type Place = (Namespace, Vec<u8>);

/// What the second call finds under a key.
enum Known {
    Value(Option<Vec<u8>>),
    /// The first call has written it, and nobody knows what was there before.
    Overwritten,
    /// The first call had nothing to do with it.
    Nothing,
}

impl Notes {
    /// Those of a second call, after the first one.
    pub fn after(before: Arc<Notes>) -> Self {
        Self {
            before: Some(before),
            noted: Mutex::default(),
        }
    }

    /// Whether they are of a second call.
    pub fn is_second(&self) -> bool {
        self.before.is_some()
    }

    /// The second call cannot be compared with the first one, for this reason. The first reason is kept.
    pub fn spoil(&self, reason: impl Into<String>) {
        self.noted().spoilt.get_or_insert_with(|| reason.into());
    }

    /// Why the second call cannot be compared with the first one.
    pub fn spoilt(&self) -> Option<String> {
        self.noted().spoilt.clone()
    }

    /// Bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        self.noted().bytes
    }

    fn noted(&self) -> MutexGuard<'_, Noteworthy> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the second call finds, if its own writes or the first call say.
    fn known(&self, before: &Notes, place: &Place) -> Known {
        if let Some(own) = self.noted().written.get(place) {
            return Known::Value(own.clone());
        }
        let before = before.noted();
        match (before.found.get(place), before.written.get(place)) {
            (Some(found), _) => Known::Value(found.clone()),
            (None, Some(_)) => Known::Overwritten,
            (None, None) => Known::Nothing,
        }
    }
}

impl Noteworthy {
    /// Notes what the first call found, unless it has found or written something there before.
    fn find(&mut self, place: Place, value: Option<Vec<u8>>) {
        if self.found.contains_key(&place) || self.written.contains_key(&place) {
            return;
        }
        if self.has_room(&place, value.as_ref()) {
            self.found.insert(place, value);
        }
    }

    fn write(&mut self, place: Place, value: Option<Vec<u8>>) {
        if self.has_room(&place, value.as_ref()) {
            self.written.insert(place, value);
        }
    }

    fn has_room(&mut self, (_, key): &Place, value: Option<&Vec<u8>>) -> bool {
        let more = key.len() + value.map_or(0, Vec::len);
        if self.bytes + more > MOST {
            let reason = format!("a call reads and writes more than {MOST} bytes of the store");
            self.spoilt.get_or_insert(reason);
            return false;
        }
        self.bytes += more;
        true
    }
}

/// The notes of the call that runs now: none, if nobody wants any.
#[derive(Debug, Default)]
pub struct Noting(Mutex<Option<Arc<Notes>>>);

impl Noting {
    /// From now on, this is noted.
    pub fn begin(&self, notes: Option<Arc<Notes>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notes;
    }

    /// Where to note something.
    pub fn now(&self) -> Option<Arc<Notes>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A store, as the calls of one instance see it.
pub struct Noted {
    store: Arc<dyn Store>,
    noting: Arc<Noting>,
    clock: Clock,
}

impl Noted {
    /// The store as it is, while nothing is noted.
    pub fn new(store: &Arc<dyn Store>, noting: &Arc<Noting>) -> Self {
        Self {
            store: Arc::clone(store),
            noting: Arc::clone(noting),
            clock: Clock::system(),
        }
    }

    async fn read_and_note(
        &self,
        notes: Arc<Notes>,
        namespace: &Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<Option<Vec<u8>>>, super::StoreFault> {
        let Some(before) = &notes.before else {
            let values = self.store.read(namespace, keys.clone()).await?;
            let mut noted = notes.noted();
            for (key, value) in keys.into_iter().zip(&values) {
                noted.find((namespace.clone(), key), value.clone());
            }
            return Ok(values);
        };
        let mut values = Vec::with_capacity(keys.len());
        let mut asked = Vec::new();
        for key in keys {
            let place = (namespace.clone(), key);
            match notes.known(before, &place) {
                Known::Value(value) => values.push(value),
                unknown => {
                    if matches!(unknown, Known::Overwritten) {
                        notes.spoil(
                            "it reads a key of the store that the current version has overwritten",
                        );
                    }
                    asked.push((values.len(), place.1));
                    values.push(None);
                }
            }
        }
        if !asked.is_empty() {
            let keys = asked.iter().map(|(_, key)| key.clone()).collect();
            let read = self.store.read(namespace, keys).await?;
            for ((index, _), value) in asked.into_iter().zip(read) {
                values[index] = value;
            }
        }
        Ok(values)
    }

    async fn write_and_note(
        &self,
        notes: Arc<Notes>,
        namespace: &Namespace,
        writes: Vec<Write>,
    ) -> Result<Vec<Answer>, super::StoreFault> {
        if notes.before.is_some() {
            return self.write_aside(notes, namespace, writes).await;
        }
        let answers = self.store.write(namespace, writes.clone()).await?;
        let mut noted = notes.noted();
        for (Write { key, operation }, answer) in writes.into_iter().zip(&answers) {
            let place = (namespace.clone(), key);
            if let (Operation::Increment(by), Answer::Counted(sum)) = (&operation, answer) {
                // No counter and a counter of 0 are the same for those who count.
                let before = (sum > by).then(|| (sum - by).to_string().into_bytes());
                noted.find(place.clone(), before);
            }
            noted.write(place, None);
        }
        Ok(answers)
    }

    /// Writes into the notes.
    async fn write_aside(
        &self,
        notes: Arc<Notes>,
        namespace: &Namespace,
        writes: Vec<Write>,
    ) -> Result<Vec<Answer>, super::StoreFault> {
        let mut answers = Vec::with_capacity(writes.len());
        for Write { key, operation } in writes {
            let standing = match operation {
                // Whatever is there.
                Operation::Set(_) | Operation::Delete => None,
                _ => {
                    let keys = vec![key.clone()];
                    let read = self.read_and_note(Arc::clone(&notes), namespace, keys);
                    read.await?.pop().flatten()
                }
            };
            let is_deleted = matches!(operation, Operation::Delete);
            let standing = standing.map(|value| Entry {
                number: 0,
                ends: None,
                value,
            });
            let (effect, answer) = decide(operation, standing.as_ref(), self.clock.now());
            let place = (namespace.clone(), key);
            match effect {
                Effect::Put { value, .. } => notes.noted().write(place, Some(value)),
                Effect::Remove => notes.noted().write(place, None),
                Effect::Nothing if is_deleted => notes.noted().write(place, None),
                Effect::Nothing => {}
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}

impl Store for Noted {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        match self.noting.now() {
            Some(notes) => Box::pin(self.read_and_note(notes, namespace, keys)),
            None => self.store.read(namespace, keys),
        }
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        match self.noting.now() {
            Some(notes) => Box::pin(self.write_and_note(notes, namespace, writes)),
            None => self.store.write(namespace, writes),
        }
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        if let Some(notes) = self.noting.now()
            && notes.before.is_some()
        {
            notes.spoil("it lists the keys of a bucket, which may have changed meanwhile");
        }
        self.store.keys(namespace, behind, most)
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        self.store.size(namespace)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bucket, Memory, Value};

    /// A store with the view of two instances on it.
    struct Bench {
        store: Bucket,
        first: (Bucket, Arc<Noting>),
        second: (Bucket, Arc<Noting>),
    }

    fn bench() -> Bench {
        let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::new(|| 0)));
        let bucket = |store: &Arc<dyn Store>| Bucket::new(store, Namespace::keyvalue("box"));
        let view = || {
            let noting = Arc::<Noting>::default();
            let noted: Arc<dyn Store> = Arc::new(Noted::new(&store, &noting));
            (bucket(&noted), noting)
        };
        Bench {
            first: view(),
            second: view(),
            store: bucket(&store),
        }
    }

    impl Bench {
        /// Begins a first call.
        fn begin(&self) -> Arc<Notes> {
            let notes = Arc::<Notes>::default();
            self.first.1.begin(Some(Arc::clone(&notes)));
            notes
        }

        /// Begins the second call after it.
        fn begin_second(&self, before: Arc<Notes>) -> Arc<Notes> {
            let notes = Arc::new(Notes::after(before));
            self.second.1.begin(Some(Arc::clone(&notes)));
            notes
        }
    }

    #[tokio::test]
    async fn the_second_call_finds_what_the_first_one_found_and_writes_nothing() {
        let bench = bench();
        let (store, first, second) = (&bench.store, &bench.first.0, &bench.second.0);
        store.set(b"a", Value::lasting("old")).await.unwrap();
        store.increment(b"n", 4).await.unwrap();
        let before = bench.begin();
        assert_eq!(first.get(b"a").await.unwrap().unwrap(), b"old");
        assert_eq!(first.get(b"none").await.unwrap(), None);
        first.set(b"a", Value::lasting("new")).await.unwrap();
        first.set(b"none", Value::lasting("one")).await.unwrap();
        assert_eq!(first.increment(b"n", 1).await.unwrap(), Some(5));
        assert_eq!(first.increment(b"m", 1).await.unwrap(), Some(1));
        // Others go on meanwhile.
        store.increment(b"n", 10).await.unwrap();
        let notes = bench.begin_second(before);
        assert_eq!(second.get(b"a").await.unwrap().unwrap(), b"old");
        assert_eq!(second.get(b"none").await.unwrap(), None);
        assert_eq!(second.increment(b"n", 1).await.unwrap(), Some(5));
        assert_eq!(second.increment(b"n", 1).await.unwrap(), Some(6));
        assert_eq!(second.increment(b"m", 1).await.unwrap(), Some(1));
        second.delete(b"a").await.unwrap();
        second.set(b"only", Value::lasting("here")).await.unwrap();
        assert_eq!(second.get(b"a").await.unwrap(), None);
        assert_eq!(second.get(b"only").await.unwrap().unwrap(), b"here");
        assert_eq!(notes.spoilt(), None);
        // The store has what the first call wrote.
        assert_eq!(store.get(b"a").await.unwrap().unwrap(), b"new");
        assert_eq!(store.get(b"n").await.unwrap().unwrap(), b"15");
        assert_eq!(store.get(b"only").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_second_call_that_reads_what_nobody_knows_is_not_compared() {
        let bench = bench();
        let before = bench.begin();
        let new = Value::lasting("new");
        bench.first.0.set(b"a", new.clone()).await.unwrap();
        let notes = bench.begin_second(Arc::clone(&before));
        bench.second.0.set(b"a", new).await.unwrap();
        bench.second.0.get(b"a").await.unwrap();
        assert_eq!(notes.spoilt(), None);
        let notes = bench.begin_second(Arc::clone(&before));
        bench.second.0.get(b"a").await.unwrap();
        assert!(notes.spoilt().unwrap().contains("overwritten"));
        let notes = bench.begin_second(before);
        bench.second.0.keys(None, 10).await.unwrap();
        assert!(notes.spoilt().unwrap().contains("lists"));
    }

    #[tokio::test]
    async fn notes_have_an_end() {
        let bench = bench();
        let notes = bench.begin();
        let large = Value::lasting(vec![0; MOST]);
        bench.store.set(b"a", large).await.unwrap();
        bench.first.0.get(b"a").await.unwrap();
        assert!(notes.spoilt().is_some() && notes.bytes() == 0);
        // The call itself does not notice.
        bench.first.0.set(b"a", Value::lasting("b")).await.unwrap();
        assert_eq!(bench.store.get(b"a").await.unwrap().unwrap(), b"b");
    }
}
