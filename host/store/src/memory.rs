//! A store in memory: gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::operation::Entry;
use super::rows::{Rows, carry_out};
use super::{Answer, Clock, Namespace, Operation, Page, Promised, Store, StoreFault, Write};

/// Bytes that all entries take together, so that no component can fill the host's memory.
const MOST: usize = 256 << 20;

/// The size of an entry beside its bytes: its places in the maps.
const ENTRY: usize = 256;

/// A store in memory, behind one lock that is held for a few look-ups at a time.
#[derive(Debug)]
pub struct Memory {
    tables: Mutex<Tables>,
    clock: Clock,
    most: usize,
}

/// Where an entry is: its namespace and its key.
type Place = (Arc<str>, Arc<[u8]>);

#[derive(Debug, Default)]
struct Tables {
    shelves: HashMap<Arc<str>, Shelf>,
    /// By end and number.
    ends: BTreeMap<(u64, u64), Place>,
    last: u64,
    bytes: usize,
}

/// The entries of one namespace.
#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<Arc<[u8]>, Entry>,
    order: BTreeMap<u64, Arc<[u8]>>,
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Clock) -> Self {
        Self {
            tables: Mutex::default(),
            clock,
            most: MOST,
        }
    }

    /// An empty store with room for this many bytes.
    #[cfg(test)]
    pub(super) fn with_room(clock: Clock, most: usize) -> Self {
        Self {
            most,
            ..Self::new(clock)
        }
    }

    /// The bytes that its entries take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.tables().bytes
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(
        &self,
        namespace: &Namespace,
        writes: Vec<Write>,
    ) -> Result<Vec<Answer>, StoreFault> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let wanted: usize = writes.iter().map(room).sum();
        // Entries that may be dropped make room for new ones, the oldest first.
        while namespace.bound.is_some() && tables.bytes.saturating_add(wanted) > self.most {
            if !tables.remove_oldest(&namespace.name) {
                break;
            }
        }
        if wanted > 0 && tables.bytes.saturating_add(wanted) > self.most {
            return Err(StoreFault::Full { most: self.most });
        }
        let answers = writes
            .into_iter()
            .map(|write| carry_out(&mut *tables, namespace, write, now));
        answers
            .collect::<Result<_, Infallible>>()
            .map_err(|never| match never {})
    }
}

/// Bytes that a write may add.
fn room(write: &Write) -> usize {
    let value = match &write.operation {
        Operation::Set(value) | Operation::Claim(value) | Operation::Swap { value, .. } => {
            value.bytes.len()
        }
        // The digits of the largest number.
        Operation::Increment(_) => 20,
        Operation::Delete | Operation::DeleteIf(_) => return 0,
    };
    ENTRY + write.key.len() + value
}

fn taken(key: &[u8], entry: &Entry) -> usize {
    ENTRY + key.len() + entry.value.len()
}

impl Store for Memory {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        let now = self.clock.now();
        let tables = self.tables();
        let value = |key: &Vec<u8>| {
            let entry = tables.shelves.get(&namespace.name)?.entries.get(&**key)?;
            (!entry.has_ended(now)).then(|| entry.value.clone())
        };
        let values = keys.iter().map(value).collect();
        future::ready(Ok(values)).boxed()
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        future::ready(self.carry_out(namespace, writes)).boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        let now = self.clock.now();
        let tables = self.tables();
        let mut page = Page::default();
        if let Some(shelf) = tables.shelves.get(&namespace.name) {
            let from = behind.map_or(0, |behind| behind.saturating_add(1));
            let rows = shelf.order.range(from..);
            for (seen, (number, key)) in rows.enumerate() {
                if seen == most {
                    page.more = true;
                    break;
                }
                page.last = Some(*number);
                let entry = shelf.entries.get(key);
                if entry.is_some_and(|entry| !entry.has_ended(now)) {
                    page.keys.push(key.to_vec());
                }
            }
        }
        future::ready(Ok(page)).boxed()
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        let size = self.tables().count(&namespace.name);
        future::ready(size.map_err(|never| match never {})).boxed()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

impl Tables {
    /// False where there is none.
    fn remove_oldest(&mut self, namespace: &str) -> bool {
        let Some(shelf) = self.shelves.get(namespace) else {
            return false;
        };
        let oldest = shelf.order.first_key_value();
        let oldest =
            oldest.and_then(|(_, key)| Some((key.clone(), shelf.entries.get(key)?.clone())));
        let Some((key, entry)) = oldest else {
            return false;
        };
        match self.remove(namespace, &key, &entry) {
            Ok(()) => true,
            Err(never) => match never {},
        }
    }
}

impl Rows for Tables {
    type Fault = Infallible;

    fn entry(&self, namespace: &str, key: &[u8]) -> Result<Option<Entry>, Infallible> {
        let shelf = self.shelves.get(namespace);
        Ok(shelf.and_then(|shelf| shelf.entries.get(key)).cloned())
    }

    fn put(
        &mut self,
        namespace: &str,
        key: &[u8],
        entry: &Entry,
        instead: Option<&Entry>,
    ) -> Result<(), Infallible> {
        if let Some(instead) = instead {
            self.remove(namespace, key, instead)?;
        }
        let name = match self.shelves.get_key_value(namespace) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(namespace),
        };
        let key: Arc<[u8]> = key.into();
        if let Some(ends) = entry.ends {
            let place = (Arc::clone(&name), Arc::clone(&key));
            self.ends.insert((ends, entry.number), place);
        }
        self.bytes += taken(&key, entry);
        let shelf = self.shelves.entry(name).or_default();
        shelf.order.insert(entry.number, Arc::clone(&key));
        shelf.entries.insert(key, entry.clone());
        Ok(())
    }

    fn remove(&mut self, namespace: &str, key: &[u8], entry: &Entry) -> Result<(), Infallible> {
        if let Some(ends) = entry.ends {
            self.ends.remove(&(ends, entry.number));
        }
        if let Some(shelf) = self.shelves.get_mut(namespace) {
            shelf.order.remove(&entry.number);
            shelf.entries.remove(key);
            self.bytes = self.bytes.saturating_sub(taken(key, entry));
        }
        Ok(())
    }

    fn next_number(&mut self) -> Result<u64, Infallible> {
        self.last += 1;
        Ok(self.last)
    }

    fn first_ended(&self, now: u64) -> Result<Option<(String, Vec<u8>)>, Infallible> {
        let first = self.ends.first_key_value();
        let ended = first.filter(|((ends, _), _)| *ends <= now);
        Ok(ended.map(|(_, (namespace, key))| (namespace.to_string(), key.to_vec())))
    }

    fn oldest(&self, namespace: &str) -> Result<Option<Vec<u8>>, Infallible> {
        let shelf = self.shelves.get(namespace);
        let oldest = shelf.and_then(|shelf| shelf.order.first_key_value());
        Ok(oldest.map(|(_, key)| key.to_vec()))
    }

    fn count(&self, namespace: &str) -> Result<u64, Infallible> {
        let entries = self
            .shelves
            .get(namespace)
            .map_or(0, |shelf| shelf.entries.len());
        Ok(u64::try_from(entries).unwrap_or(u64::MAX))
    }
}
