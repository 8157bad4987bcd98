//! `wasi:keyvalue`: the buckets of the host's store that `allow.keyvalue` of the component names.
//!
//! Every call waits for the store inside of the component's call, so it ends with its deadline.

use std::sync::Arc;

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code;
use hive_store::{Bucket, Namespace, Operation, Store, StoreFault, Value, Write};
use hive_telemetry::{Capability, CapabilityDenied, ComponentTelemetry};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};

use self::bindings::wasi::keyvalue::{atomics, batch, store};
use super::reporting::Quoted;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit/deps/wasi-keyvalue",
        world: "imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": hive_store::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => crate::capability::keyvalue::Fault },
    });
}

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;
/// The largest value, in bytes.
const LARGEST_VALUE: usize = 1 << 20;
/// Keys of one call.
const MOST_KEYS: usize = 1000;
/// Values that are read in one go, so that little is read beyond the limit.
const READ_AT_ONCE: usize = 16;
/// The values of one answer, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;
/// Buckets that an instance has open at once.
const MOST_OPEN_BUCKETS: usize = 64;

/// An instance's access to the store.
pub(crate) struct KeyValue {
    component: Arc<str>,
    granted: Arc<[Arc<str>]>,
    store: Arc<dyn Store>,
    open: usize,
    telemetry: ComponentTelemetry,
}

/// An answer that is none.
pub(crate) enum Fault {
    Denied,
    Other(String),
}

impl KeyValue {
    pub(crate) fn new(
        plan: &ComponentPlan,
        store: &Arc<dyn Store>,
        telemetry: &ComponentTelemetry,
    ) -> Self {
        Self {
            component: Arc::clone(&plan.name),
            granted: Arc::clone(&plan.allow.keyvalue),
            store: Arc::clone(store),
            open: 0,
            telemetry: telemetry.clone(),
        }
    }

    fn deny(&self, bucket: &str) -> Fault {
        self.telemetry.denied(CapabilityDenied {
            capability: Capability::Keyvalue,
            code: Code::KeyValueDenied.as_str(),
            asked: &format_args!("the bucket {}", Quoted(bucket)),
            reason: &format_args!(
                "`components.{}.allow.keyvalue` does not name it",
                self.component
            ),
        });
        Fault::Denied
    }
}

/// An instance that has buckets.
pub(crate) trait KeyValueView: Send {
    fn keyvalue(&mut self) -> Access<'_>;
}

pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: KeyValueView + 'static,
{
    store::add_to_linker::<_, Access>(linker, T::keyvalue)?;
    atomics::add_to_linker::<_, Access>(linker, T::keyvalue)?;
    batch::add_to_linker::<_, Access>(linker, T::keyvalue)
}

/// The parts of an instance's state that a call needs.
pub(crate) struct Access<'a> {
    pub(crate) keyvalue: &'a mut KeyValue,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for Access<'static> {
    type Data<'a> = Access<'a>;
}

impl Access<'_> {
    fn bucket(&self, bucket: &Resource<Bucket>) -> Result<Bucket, Fault> {
        Ok(self.table.get(bucket)?.clone())
    }
}

impl store::Host for Access<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Fault> {
        if !self
            .keyvalue
            .granted
            .iter()
            .any(|name| **name == *identifier)
        {
            return Err(self.keyvalue.deny(&identifier));
        }
        if self.keyvalue.open >= MOST_OPEN_BUCKETS {
            let message =
                format!("{MOST_OPEN_BUCKETS} buckets are open already; drop some of them");
            return Err(Fault::Other(message));
        }
        let namespace = Namespace::keyvalue(&identifier);
        let bucket = self
            .table
            .push(Bucket::new(&self.keyvalue.store, namespace))?;
        self.keyvalue.open += 1;
        Ok(bucket)
    }

    fn convert_error(&mut self, fault: Fault) -> wasmtime::Result<store::Error> {
        Ok(match fault {
            Fault::Denied => store::Error::AccessDenied,
            Fault::Other(message) => store::Error::Other(message),
        })
    }
}

impl store::HostBucket for Access<'_> {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.bucket(&bucket)?.get(checked(&key)?).await?)
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Fault> {
        let value = Value::lasting(bounded(value)?);
        Ok(self.bucket(&bucket)?.set(checked(&key)?, value).await?)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Fault> {
        Ok(self.bucket(&bucket)?.delete(checked(&key)?).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Fault> {
        let value = self.bucket(&bucket)?.get(checked(&key)?).await?;
        Ok(value.is_some())
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, Fault> {
        let page = self.bucket(&bucket)?.keys(cursor, MOST_KEYS).await?;
        let keys: Result<_, _> = page.keys.into_iter().map(String::from_utf8).collect();
        Ok(store::KeyResponse {
            keys: keys.map_err(|error| Fault::Other(error.to_string()))?,
            cursor: page.last.filter(|_| page.more),
        })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        self.keyvalue.open = self.keyvalue.open.saturating_sub(1);
        Ok(())
    }
}

impl atomics::Host for Access<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Fault> {
        let bucket = self.bucket(&bucket)?;
        let sum = bucket.increment(checked(&key)?, delta).await?;
        sum.ok_or_else(|| {
            Fault::Other(format!(
                "{key:?} holds no number in decimal digits, or the sum is above {}",
                u64::MAX
            ))
        })
    }
}

impl batch::Host for Access<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Fault> {
        let bucket = self.bucket(&bucket)?;
        few(keys.len())?;
        let mut found = Vec::new();
        let mut bytes: usize = 0;
        for some in keys.chunks(READ_AT_ONCE) {
            let wanted: Result<Vec<_>, Fault> =
                some.iter().map(|key| Ok(checked(key)?.to_vec())).collect();
            let values = bucket.get_many(wanted?).await?;
            for (key, value) in some.iter().zip(values) {
                bytes += value.as_ref().map_or(0, Vec::len);
                found.push(value.map(|value| (key.clone(), value)));
            }
            if bytes > LARGEST_ANSWER {
                let message = format!("the values are larger than {LARGEST_ANSWER} bytes together");
                return Err(Fault::Other(message));
            }
        }
        Ok(found)
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Fault> {
        let writes = key_values.into_iter().map(|(key, value)| {
            let operation = Operation::Set(Value::lasting(bounded(value)?));
            write(&key, operation)
        });
        change(self.bucket(&bucket)?, writes.collect()).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Fault> {
        let writes = keys.iter().map(|key| write(key, Operation::Delete));
        change(self.bucket(&bucket)?, writes.collect()).await
    }
}

async fn change(bucket: Bucket, writes: Result<Vec<Write>, Fault>) -> Result<(), Fault> {
    let writes = writes?;
    few(writes.len())?;
    bucket.write(writes).await?;
    Ok(())
}

fn write(key: &str, operation: Operation) -> Result<Write, Fault> {
    let key = checked(key)?.to_vec();
    Ok(Write { key, operation })
}

fn checked(key: &str) -> Result<&[u8], Fault> {
    match key.len() {
        0..=LONGEST_KEY => Ok(key.as_bytes()),
        bytes => Err(Fault::Other(format!(
            "the key has {bytes} bytes, and the longest has {LONGEST_KEY}"
        ))),
    }
}

fn bounded(value: Vec<u8>) -> Result<Vec<u8>, Fault> {
    match value.len() {
        0..=LARGEST_VALUE => Ok(value),
        bytes => Err(Fault::Other(format!(
            "the value has {bytes} bytes, and the largest has {LARGEST_VALUE}"
        ))),
    }
}

fn few(keys: usize) -> Result<(), Fault> {
    match keys {
        0..=MOST_KEYS => Ok(()),
        _ => Err(Fault::Other(format!(
            "the call has {keys} keys, and takes {MOST_KEYS}"
        ))),
    }
}

impl From<StoreFault> for Fault {
    fn from(fault: StoreFault) -> Self {
        Self::Other(fault.to_string())
    }
}

impl From<ResourceTableError> for Fault {
    fn from(error: ResourceTableError) -> Self {
        Self::Other(error.to_string())
    }
}
