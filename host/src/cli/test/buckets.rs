//! The key-value buckets of a case: what is in them before it, and what must be in them after a call.

use std::sync::Arc;

use hive_config::cases::Bucket;
use hive_store::{Bucket as Stored, Namespace, Store, Value};

use super::compare::{Differences, differs, within};

/// Fills the buckets of a store.
pub(super) async fn fill(store: &Arc<dyn Store>, buckets: &[Bucket]) -> Result<(), String> {
    for (bucket, entries) in buckets {
        let bucket = Stored::new(store, Namespace::keyvalue(bucket));
        for (key, value) in entries {
            let value = Value::lasting(value.as_bytes().to_vec());
            let set = bucket.set(key.as_bytes(), value).await;
            set.map_err(|fault| format!("the buckets cannot be filled: {fault}"))?;
        }
    }
    Ok(())
}

/// The entries that are not as expected.
pub(super) async fn differences(
    store: &Arc<dyn Store>,
    expected: &[Bucket],
    at: &str,
) -> Differences {
    let mut found = Differences::new();
    for (bucket, entries) in expected {
        let stored = Stored::new(store, Namespace::keyvalue(bucket));
        for (key, expected) in entries {
            let place = within(at, &format!("keyvalue.{bucket}.{key}"));
            let got = match stored.get(key.as_bytes()).await {
                Ok(got) => got,
                Err(fault) => {
                    found.push(differs(&place, fault.to_string()));
                    continue;
                }
            };
            let got = got.map(|got| String::from_utf8_lossy(&got).into_owned());
            if got.as_ref() != Some(expected) {
                let got = got.map_or_else(|| "nothing".to_owned(), |got| format!("{got:?}"));
                found.push(differs(&place, format!("expected {expected:?}, got {got}")));
            }
        }
    }
    found
}
