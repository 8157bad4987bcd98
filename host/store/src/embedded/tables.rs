//! The tables of the file.

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, TableHandle, WriteTransaction,
};

use super::super::Page;
use super::super::operation::Entry;
use super::super::rows::Rows;

/// Namespace and key.
type EntryKey = (&'static str, &'static [u8]);
/// Number, end (the largest number for none) and value.
type EntryRow = (u64, u64, &'static [u8]);

const ENTRIES: TableDefinition<EntryKey, EntryRow> = TableDefinition::new("entries");
/// Namespace and number to key.
const ORDER: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("order");
/// End and number to namespace and key.
const ENDS: TableDefinition<(u64, u64), (&str, &[u8])> = TableDefinition::new("ends");
/// Namespace to its number of entries.
const COUNTS: TableDefinition<&str, u64> = TableDefinition::new("counts");
/// Facts about the file as a whole.
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("hive-store");

/// The layout of these tables.
const FORMAT: (&str, u64) = ("format", 1);
/// The number of the last entry that was made.
const LAST: &str = "last";

const ENDLESS: u64 = u64::MAX;

/// Makes the tables in an empty database.
pub(super) fn lay_out(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let (format, version) = FORMAT;
    let mut tables = Tables::open(&transaction)?;
    tables.facts.insert(format, version)?;
    drop(tables);
    transaction.commit()?;
    Ok(())
}

/// Checks that this host can use the file; the error says what is wrong.
pub(super) fn check(database: &Database) -> Result<(), String> {
    let say = |error: redb::Error| error.to_string();
    let transaction = database.begin_read().map_err(|error| say(error.into()))?;
    let tables = transaction
        .list_tables()
        .map_err(|error| say(error.into()))?;
    if !tables.into_iter().any(|table| table.name() == FACTS.name()) {
        return Err("it is the database of another program".to_owned());
    }
    let (format, version) = FORMAT;
    let found = transaction
        .open_table(FACTS)
        .map_err(|error| say(error.into()))?
        .get(format)
        .map_err(|error| say(error.into()))?
        .map(|found| found.value());
    match found {
        Some(found) if found == version => Ok(()),
        Some(found) => Err(format!(
            "its format is {found}, and this host's is {version}"
        )),
        None => Err("it does not tell its format".to_owned()),
    }
}

fn entry_of((number, ends, value): (u64, u64, &[u8])) -> Entry {
    Entry {
        number,
        ends: (ends != ENDLESS).then_some(ends),
        value: value.to_vec(),
    }
}

/// The answers so far.
pub(super) struct Reading {
    entries: ReadOnlyTable<EntryKey, EntryRow>,
    order: ReadOnlyTable<(&'static str, u64), &'static [u8]>,
    counts: ReadOnlyTable<&'static str, u64>,
    _transaction: ReadTransaction,
}

impl Reading {
    pub(super) fn begin(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            order: transaction.open_table(ORDER)?,
            counts: transaction.open_table(COUNTS)?,
            _transaction: transaction,
        })
    }

    pub(super) fn entry(&self, namespace: &str, key: &[u8]) -> Result<Option<Entry>, redb::Error> {
        let found = self.entries.get((namespace, key))?;
        Ok(found.map(|found| entry_of(found.value())))
    }

    pub(super) fn size(&self, namespace: &str) -> Result<u64, redb::Error> {
        Ok(self.counts.get(namespace)?.map_or(0, |count| count.value()))
    }

    pub(super) fn page(
        &self,
        namespace: &str,
        behind: Option<u64>,
        most: usize,
        now: u64,
    ) -> Result<Page, redb::Error> {
        let from = behind.map_or(0, |behind| behind.saturating_add(1));
        let rows = self
            .order
            .range((namespace, from)..=(namespace, u64::MAX))?;
        let mut page = Page::default();
        for (seen, row) in rows.enumerate() {
            if seen == most {
                page.more = true;
                break;
            }
            let (place, key) = row?;
            let (_, number) = place.value();
            page.last = Some(number);
            let entry = self.entry(namespace, key.value())?;
            if entry.is_some_and(|entry| !entry.has_ended(now)) {
                page.keys.push(key.value().to_vec());
            }
        }
        Ok(page)
    }
}

/// The tables during a change.
pub(super) struct Tables<'txn> {
    entries: Table<'txn, EntryKey, EntryRow>,
    order: Table<'txn, (&'static str, u64), &'static [u8]>,
    ends: Table<'txn, (u64, u64), (&'static str, &'static [u8])>,
    counts: Table<'txn, &'static str, u64>,
    facts: Table<'txn, &'static str, u64>,
    /// Whether there is anything to commit.
    pub(super) changed: bool,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            order: transaction.open_table(ORDER)?,
            ends: transaction.open_table(ENDS)?,
            counts: transaction.open_table(COUNTS)?,
            facts: transaction.open_table(FACTS)?,
            changed: false,
        })
    }

    fn set_count(&mut self, namespace: &str, count: u64) -> Result<(), redb::Error> {
        self.counts.insert(namespace, count)?;
        Ok(())
    }
}

impl Rows for Tables<'_> {
    type Fault = redb::Error;

    fn entry(&self, namespace: &str, key: &[u8]) -> Result<Option<Entry>, redb::Error> {
        let found = self.entries.get((namespace, key))?;
        Ok(found.map(|found| entry_of(found.value())))
    }

    fn put(
        &mut self,
        namespace: &str,
        key: &[u8],
        entry: &Entry,
        instead: Option<&Entry>,
    ) -> Result<(), redb::Error> {
        self.changed = true;
        let ends_before = instead.and_then(|instead| instead.ends);
        if let (Some(instead), Some(ends)) = (instead, ends_before)
            && entry.ends != ends_before
        {
            self.ends.remove((ends, instead.number))?;
        }
        if let Some(ends) = entry.ends.filter(|_| entry.ends != ends_before) {
            self.ends.insert((ends, entry.number), (namespace, key))?;
        }
        if instead.is_none() {
            self.order.insert((namespace, entry.number), key)?;
            let count = self.count(namespace)?;
            self.set_count(namespace, count.saturating_add(1))?;
        }
        let ends = entry.ends.unwrap_or(ENDLESS);
        let row = (entry.number, ends, entry.value.as_slice());
        self.entries.insert((namespace, key), row)?;
        Ok(())
    }

    fn remove(&mut self, namespace: &str, key: &[u8], entry: &Entry) -> Result<(), redb::Error> {
        self.changed = true;
        if let Some(ends) = entry.ends {
            self.ends.remove((ends, entry.number))?;
        }
        self.order.remove((namespace, entry.number))?;
        self.entries.remove((namespace, key))?;
        let count = self.count(namespace)?;
        self.set_count(namespace, count.saturating_sub(1))
    }

    fn next_number(&mut self) -> Result<u64, redb::Error> {
        let last = self.facts.get(LAST)?.map_or(0, |last| last.value());
        let next = last.saturating_add(1);
        self.facts.insert(LAST, next)?;
        Ok(next)
    }

    fn first_ended(&self, now: u64) -> Result<Option<(String, Vec<u8>)>, redb::Error> {
        let Some((end, place)) = self.ends.first()? else {
            return Ok(None);
        };
        let (ends, _) = end.value();
        let (namespace, key) = place.value();
        Ok((ends <= now).then(|| (namespace.to_owned(), key.to_vec())))
    }

    fn oldest(&self, namespace: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let mut rows = self.order.range((namespace, 0)..=(namespace, u64::MAX))?;
        let oldest = rows.next().transpose()?;
        Ok(oldest.map(|(_, key)| key.value().to_vec()))
    }

    fn count(&self, namespace: &str) -> Result<u64, redb::Error> {
        Ok(self.counts.get(namespace)?.map_or(0, |count| count.value()))
    }
}
