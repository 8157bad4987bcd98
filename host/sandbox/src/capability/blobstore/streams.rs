//! The streams of values: what a component writes goes into an upload, what it reads comes from a download.

use std::sync::Arc;

use bytes::Bytes;
use hive_objects::{Container, Download, Fault, Upload};
use tokio::sync::Mutex;
use tokio::time::timeout_at;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::running::Current;

/// The most that one write takes: a component may have as many zeroes made.
const MOST_AT_ONCE: usize = 1 << 20;

/// The stream of an object that is written.
pub(super) struct Sink {
    /// Nobody else has it while a function of this stream runs.
    upload: Arc<Mutex<Upload>>,
    current: Current,
    /// The store was asked for longer than the call lasts.
    too_slow: bool,
}

/// The stream of an object that is read.
pub(super) struct Content {
    container: Container,
    download: Download,
    current: Current,
    chunk: Bytes,
    end: Option<Ended>,
}

enum Ended {
    Whole,
    Failed(String),
}

fn failed(text: &str) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::msg(text.to_owned()))
}

impl Sink {
    pub(super) fn new(upload: &Arc<Mutex<Upload>>, current: Current) -> Self {
        Self {
            upload: Arc::clone(upload),
            current,
            too_slow: false,
        }
    }

    fn told(&self, upload: &Upload, fault: &Fault) -> StreamError {
        failed(&self.current.told(upload.container(), fault))
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {
        let until = self.current.until();
        let mut upload = self.upload.lock().await;
        if timeout_at(until, upload.ready()).await.is_err() {
            self.too_slow = true;
        }
    }
}

#[async_trait]
impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let upload = Arc::clone(&self.upload);
        let Ok(mut upload) = upload.try_lock() else {
            return Err(StreamError::trap("the stream is in use"));
        };
        let written = upload.write(&bytes);
        written.map_err(|fault| self.told(&upload, &fault))
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What was taken is on its way; `finish` waits for it.
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let upload = Arc::clone(&self.upload);
        let Ok(upload) = upload.try_lock() else {
            return Err(StreamError::trap("the stream is in use"));
        };
        if let Some(fault) = upload.fault() {
            return Err(self.told(&upload, fault));
        }
        if upload.is_stuck() {
            return Err(failed(
                "the stream takes no more before `write-data` of a container has named the object",
            ));
        }
        if std::mem::take(&mut self.too_slow) {
            let slow = "a part was not stored before the end of the component's `timeout`";
            return Err(self.told(&upload, &Fault::Unavailable(slow.to_owned())));
        }
        Ok(upload.room().min(MOST_AT_ONCE))
    }
}

impl Content {
    pub(super) fn new(container: Container, download: Download, current: Current) -> Self {
        Self {
            container,
            download,
            current,
            chunk: Bytes::new(),
            end: None,
        }
    }
}

#[async_trait]
impl Pollable for Content {
    async fn ready(&mut self) {
        while self.chunk.is_empty() && self.end.is_none() {
            match self.download.next(self.current.until()).await {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => self.end = Some(Ended::Whole),
                Err(fault) => {
                    let text = self.current.told(self.container.name(), &fault);
                    self.end = Some(Ended::Failed(text));
                }
            }
        }
    }
}

#[async_trait]
impl InputStream for Content {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.chunk.is_empty() {
            return match &self.end {
                None => Ok(Bytes::new()),
                Some(Ended::Whole) => Err(StreamError::Closed),
                Some(Ended::Failed(text)) => Err(failed(text)),
            };
        }
        Ok(self.chunk.split_to(size.min(self.chunk.len())))
    }
}
