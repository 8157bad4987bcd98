//! The interface `types`: the content of an object, on its way out or in.

use std::sync::Arc;

use hive_objects::Upload;
use tokio::sync::Mutex;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use super::access::{Access, Answer, MOST_OUTGOING, MOST_VALUES};
use super::bindings::wasi::blobstore::types;
use super::resources::{Incoming, Outgoing};
use super::streams::{Content, Sink};

/// The largest content that is handed to a component at once, in bytes.
const LARGEST_AT_ONCE: u64 = 16 << 20;

impl types::Host for Access<'_> {}

impl types::HostOutgoingValue for Access<'_> {
    async fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<Outgoing>> {
        // The interface has no error here: a stream for its content is what cannot be had above the limit.
        if self.blobstore.open.outgoing >= MOST_VALUES {
            let many = format!("{MOST_VALUES} outgoing values are open already");
            return Err(wasmtime::Error::msg(many));
        }
        self.blobstore.open.outgoing += 1;
        Ok(self.table.push(Outgoing {
            upload: Arc::new(Mutex::new(Upload::new())),
            has_body: false,
        })?)
    }

    async fn outgoing_value_write_body(
        &mut self,
        this: Resource<Outgoing>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let too_many = self.blobstore.open.outgoing > MOST_OUTGOING;
        let current = self.blobstore.current.clone();
        let value = self.table.get_mut(&this)?;
        if value.has_body || too_many {
            return Ok(Err(()));
        }
        value.has_body = true;
        let sink: DynOutputStream = Box::new(Sink::new(&value.upload, current));
        Ok(Ok(self.table.push_child(sink, &this)?))
    }

    async fn finish(&mut self, this: Resource<Outgoing>) -> Answer<()> {
        let value = self.table.delete(this)?;
        self.blobstore.open.outgoing = self.blobstore.open.outgoing.saturating_sub(1);
        let until = self.blobstore.current.until();
        let mut upload = value.upload.lock().await;
        let finished = upload.finish(until).await;
        Ok(finished.map_err(|fault| self.blobstore.current.told(upload.container(), &fault)))
    }

    async fn drop(&mut self, this: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        self.blobstore.open.outgoing = self.blobstore.open.outgoing.saturating_sub(1);
        Ok(())
    }
}

impl Access<'_> {
    fn consumed(&mut self, this: Resource<Incoming>) -> wasmtime::Result<Incoming> {
        let value = self.table.delete(this)?;
        self.blobstore.open.incoming = self.blobstore.open.incoming.saturating_sub(1);
        Ok(value)
    }
}

impl types::HostIncomingValue for Access<'_> {
    async fn incoming_value_consume_sync(&mut self, this: Resource<Incoming>) -> Answer<Vec<u8>> {
        let Incoming {
            container,
            mut download,
        } = self.consumed(this)?;
        if download.size() > LARGEST_AT_ONCE {
            return Ok(Err(format!(
                "the content has {} bytes, and at most {LARGEST_AT_ONCE} are handed over at once; read it as a stream",
                download.size()
            )));
        }
        let until = self.blobstore.current.until();
        let mut content = Vec::new();
        loop {
            match download.next(until).await {
                Ok(Some(bytes)) => content.extend_from_slice(&bytes),
                Ok(None) => return Ok(Ok(content)),
                Err(fault) => {
                    return Ok(Err(self.blobstore.current.told(container.name(), &fault)));
                }
            }
        }
    }

    async fn incoming_value_consume_async(
        &mut self,
        this: Resource<Incoming>,
    ) -> Answer<Resource<DynInputStream>> {
        let Incoming {
            container,
            download,
        } = self.consumed(this)?;
        let current = self.blobstore.current.clone();
        let content: DynInputStream = Box::new(Content::new(container, download, current));
        Ok(Ok(self.table.push(content)?))
    }

    async fn size(&mut self, this: Resource<Incoming>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.download.size())
    }

    async fn drop(&mut self, this: Resource<Incoming>) -> wasmtime::Result<()> {
        self.consumed(this).map(drop)
    }
}
