//! Data that outlives a delivery: keys and values in buckets of the host's store, through
//! `wasi:keyvalue`.
//!
//! hive.toml must grant a bucket: `allow.keyvalue = ["counters"]` of the component. Components that name
//! the same bucket share it. A component imports the interfaces only if it calls this. In native tests
//! every bucket can be opened; it is empty at first, and each test has its own.
//!
//! ```
//! use hive_guest::keyvalue::Bucket;
//!
//! let counters = Bucket::open("counters")?;
//! counters.increment("orders", 1)?;
//! assert_eq!(counters.increment("orders", 1)?, 2);
//! assert_eq!(counters.get("orders")?.as_deref(), Some(&b"2"[..]));
//! # Ok::<(), hive_guest::keyvalue::Error>(())
//! ```

use std::fmt;

/// Why a call to the store failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The bucket does not exist.
    NoSuchStore,
    /// The bucket is not granted: `allow.keyvalue` of the component does not list it.
    AccessDenied,
    /// Anything else, such as a value that is too large.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchStore => f.write_str("there is no such bucket"),
            Self::AccessDenied => {
                f.write_str("the bucket is not granted: `allow.keyvalue` does not name it")
            }
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

/// Keys and values under one name.
///
/// Each method is one step: no reader sees half of it. A write that has returned is stored.
#[derive(Debug)]
pub struct Bucket(source::Bucket);

impl Bucket {
    /// The bucket of this name.
    pub fn open(name: &str) -> Result<Self, Error> {
        source::open(name).map(Self)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        source::get(&self.0, key)
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        source::set(&self.0, key, value)
    }

    /// Deletes a key, if it exists.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        source::delete(&self.0, key)
    }

    /// Whether a key exists.
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        source::exists(&self.0, key)
    }

    /// Adds to a number and returns the sum. The number starts at 0 and is stored in decimal digits.
    pub fn increment(&self, key: &str, by: u64) -> Result<u64, Error> {
        source::increment(&self.0, key, by)
    }

    /// Some of the keys, and a cursor to the next ones if there are more.
    pub fn keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), Error> {
        source::keys(&self.0, cursor)
    }

    /// The values of some keys, in their order.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        source::get_many(&self.0, keys)
    }

    /// Sets the values of some keys in one step.
    pub fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), Error> {
        source::set_many(&self.0, values)
    }

    /// Deletes some keys in one step.
    pub fn delete_many(&self, keys: &[String]) -> Result<(), Error> {
        source::delete_many(&self.0, keys)
    }
}

#[cfg(target_family = "wasm")]
mod source {
    use super::Error;
    use crate::bindings::keeping::wasi::keyvalue::{atomics, batch, store};

    pub(super) use store::Bucket;

    impl From<store::Error> for Error {
        fn from(error: store::Error) -> Self {
            match error {
                store::Error::NoSuchStore => Self::NoSuchStore,
                store::Error::AccessDenied => Self::AccessDenied,
                store::Error::Other(message) => Self::Other(message),
            }
        }
    }

    pub(super) fn open(name: &str) -> Result<Bucket, Error> {
        Ok(store::open(name)?)
    }

    pub(super) fn get(bucket: &Bucket, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(bucket.get(key)?)
    }

    pub(super) fn set(bucket: &Bucket, key: &str, value: &[u8]) -> Result<(), Error> {
        Ok(bucket.set(key, value)?)
    }

    pub(super) fn delete(bucket: &Bucket, key: &str) -> Result<(), Error> {
        Ok(bucket.delete(key)?)
    }

    pub(super) fn exists(bucket: &Bucket, key: &str) -> Result<bool, Error> {
        Ok(bucket.exists(key)?)
    }

    pub(super) fn increment(bucket: &Bucket, key: &str, by: u64) -> Result<u64, Error> {
        Ok(atomics::increment(bucket, key, by)?)
    }

    pub(super) fn keys(
        bucket: &Bucket,
        cursor: Option<u64>,
    ) -> Result<(Vec<String>, Option<u64>), Error> {
        let page = bucket.list_keys(cursor)?;
        Ok((page.keys, page.cursor))
    }

    pub(super) fn get_many(
        bucket: &Bucket,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let found = batch::get_many(bucket, keys)?;
        let value = |found: Option<(String, Vec<u8>)>| found.map(|(_, value)| value);
        Ok(found.into_iter().map(value).collect())
    }

    pub(super) fn set_many(bucket: &Bucket, values: &[(String, Vec<u8>)]) -> Result<(), Error> {
        Ok(batch::set_many(bucket, values)?)
    }

    pub(super) fn delete_many(bucket: &Bucket, keys: &[String]) -> Result<(), Error> {
        Ok(batch::delete_many(bucket, keys)?)
    }
}

/// A table for each bucket, for each thread: tests run in parallel, each in its own thread.
#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::Error;

    pub(super) type Bucket = String;

    type Table = BTreeMap<String, Vec<u8>>;

    thread_local! {
        static BUCKETS: RefCell<BTreeMap<String, Table>> = RefCell::default();
    }

    fn with<T>(bucket: &Bucket, work: impl FnOnce(&mut Table) -> T) -> T {
        BUCKETS.with_borrow_mut(|buckets| work(buckets.entry(bucket.clone()).or_default()))
    }

    pub(super) fn open(name: &str) -> Result<Bucket, Error> {
        Ok(name.to_owned())
    }

    pub(super) fn get(bucket: &Bucket, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(with(bucket, |table| table.get(key).cloned()))
    }

    pub(super) fn set(bucket: &Bucket, key: &str, value: &[u8]) -> Result<(), Error> {
        with(bucket, |table| table.insert(key.to_owned(), value.to_vec()));
        Ok(())
    }

    pub(super) fn delete(bucket: &Bucket, key: &str) -> Result<(), Error> {
        with(bucket, |table| table.remove(key));
        Ok(())
    }

    pub(super) fn exists(bucket: &Bucket, key: &str) -> Result<bool, Error> {
        Ok(with(bucket, |table| table.contains_key(key)))
    }

    pub(super) fn increment(bucket: &Bucket, key: &str, by: u64) -> Result<u64, Error> {
        let other = |what: &str| Error::Other(format!("{key:?}: {what}"));
        let number = match get(bucket, key)? {
            None => 0,
            Some(digits) => String::from_utf8_lossy(&digits)
                .parse::<u64>()
                .map_err(|_| other("no number"))?,
        };
        let sum = number.checked_add(by).ok_or_else(|| other("too large"))?;
        set(bucket, key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    pub(super) fn keys(
        bucket: &Bucket,
        _cursor: Option<u64>,
    ) -> Result<(Vec<String>, Option<u64>), Error> {
        Ok((with(bucket, |table| table.keys().cloned().collect()), None))
    }

    pub(super) fn get_many(
        bucket: &Bucket,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        keys.iter().map(|key| get(bucket, key)).collect()
    }

    pub(super) fn set_many(bucket: &Bucket, values: &[(String, Vec<u8>)]) -> Result<(), Error> {
        values
            .iter()
            .try_for_each(|(key, value)| set(bucket, key, value))
    }

    pub(super) fn delete_many(bucket: &Bucket, keys: &[String]) -> Result<(), Error> {
        keys.iter().try_for_each(|key| delete(bucket, key))
    }
}
