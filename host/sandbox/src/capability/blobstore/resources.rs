//! What an instance has open, beside containers and streams.

use std::sync::Arc;

use hive_objects::{Container, Download, Fault, Names, Upload};
use tokio::sync::Mutex;

/// An object that is being written.
#[expect(
    unreachable_pub,
    reason = "the generated module exports it under its own name"
)]
pub struct Outgoing {
    pub(super) upload: Arc<Mutex<Upload>>,
    pub(super) has_body: bool,
}

/// An object that is being read.
#[expect(
    unreachable_pub,
    reason = "the generated module exports it under its own name"
)]
pub struct Incoming {
    pub(super) container: Container,
    pub(super) download: Download,
}

impl Outgoing {
    /// Names the object.
    pub(super) async fn goes_to(&self, container: &Container, name: &str) -> Result<(), Fault> {
        self.upload.lock().await.goes_to(container, name)
    }
}

impl Incoming {
    pub(super) fn new(container: Container, download: Download) -> Self {
        Self {
            container,
            download,
        }
    }
}

/// The names of a container, as they are read.
#[expect(
    unreachable_pub,
    reason = "the generated module exports it under its own name"
)]
pub struct Listing {
    pub(super) container: Container,
    pub(super) names: Names,
}
