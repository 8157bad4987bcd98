//! One namespace of a store: what its users call.

use std::sync::Arc;

use super::{Answer, Namespace, Operation, Store, StoreFault, Value, Write};

/// Some of the keys of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<Vec<u8>>,
    /// The cursor for the next page; `None` if there was nothing at all.
    pub last: Option<u64>,
    /// Whether there is anything behind it.
    pub more: bool,
}

/// The entries of one namespace. Clones lead to the same entries.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn Store>,
    namespace: Namespace,
}

impl Bucket {
    /// The namespace in that store.
    pub fn new(store: &Arc<dyn Store>, namespace: Namespace) -> Self {
        Self {
            store: Arc::clone(store),
            namespace,
        }
    }

    /// The value of a key.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        let values = self.get_many(vec![key.to_vec()]).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// The values of some keys, in their order.
    pub async fn get_many(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, StoreFault> {
        self.store.read(&self.namespace, keys).await
    }

    /// Sets a value, whether or not there was one.
    pub async fn set(&self, key: &[u8], value: Value) -> Result<(), StoreFault> {
        self.change(key, Operation::Set(value)).await.map(|_| ())
    }

    /// Sets a value if the key has none; otherwise returns the existing one.
    pub async fn claim(&self, key: &[u8], value: Value) -> Result<Result<(), Vec<u8>>, StoreFault> {
        let answer = self.change(key, Operation::Claim(value)).await?;
        Ok(match answer {
            Answer::Refused(Some(standing)) => Err(standing),
            _ => Ok(()),
        })
    }

    /// Sets a value if the existing one is exactly `expected`; returns whether it is.
    pub async fn swap(
        &self,
        key: &[u8],
        expected: Option<Vec<u8>>,
        value: Value,
    ) -> Result<bool, StoreFault> {
        let swap = Operation::Swap { expected, value };
        Ok(self.change(key, swap).await? == Answer::Done)
    }

    /// Deletes the value, if there is one.
    pub async fn delete(&self, key: &[u8]) -> Result<(), StoreFault> {
        self.change(key, Operation::Delete).await.map(|_| ())
    }

    /// Deletes the value if it is exactly `expected`; returns whether it was.
    pub async fn delete_if(&self, key: &[u8], expected: Vec<u8>) -> Result<bool, StoreFault> {
        let answer = self.change(key, Operation::DeleteIf(expected)).await?;
        Ok(answer == Answer::Done)
    }

    /// Adds to the number under the key, from 0 on; `None` if the value is not a number, or the sum is too
    /// large.
    pub async fn increment(&self, key: &[u8], by: u64) -> Result<Option<u64>, StoreFault> {
        Ok(match self.change(key, Operation::Increment(by)).await? {
            Answer::Counted(sum) => Some(sum),
            _ => None,
        })
    }

    /// Carries out all of the writes or none, in one step; no reader sees half of it.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Answer>, StoreFault> {
        self.store.write(&self.namespace, writes).await
    }

    /// Some of the keys, in the order in which their entries were made, after a cursor from an earlier page. A
    /// key that exists the whole time is returned exactly once.
    pub async fn keys(&self, behind: Option<u64>, most: usize) -> Result<Page, StoreFault> {
        self.store.keys(&self.namespace, behind, most).await
    }

    /// How many entries there are, those among them that have ended and were not swept away yet.
    pub async fn size(&self) -> Result<u64, StoreFault> {
        self.store.size(&self.namespace).await
    }

    /// Whether other hosts read and write the same entries.
    pub fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    async fn change(&self, key: &[u8], operation: Operation) -> Result<Answer, StoreFault> {
        let key = key.to_vec();
        let answers = self.write(vec![Write { key, operation }]).await?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| StoreFault::Failed("it gave no answer to a write".to_owned()))
    }
}
