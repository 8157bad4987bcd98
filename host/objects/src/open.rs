//! From the place of a grant to its store: credentials, endpoints and TLS are here, and nowhere else.

use std::sync::{Arc, Once};
use std::time::Duration;

use hive_config::plan::{ObjectPlace, ObjectService};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use tokio_rustls::rustls::crypto::ring;

use super::aws_files;

/// Opens a place. Nothing is sent.
pub(crate) fn open(place: &ObjectPlace) -> Result<Arc<dyn ObjectStore>, String> {
    match place {
        ObjectPlace::Directory(path) => {
            let directory =
                LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
            // What is acknowledged after a write has to be on the disk by then.
            Ok(Arc::new(directory.with_fsync(true)))
        }
        ObjectPlace::Bucket {
            service,
            bucket,
            prefix,
        } => {
            install_tls();
            let prefix = Path::parse(prefix).map_err(|error| error.to_string())?;
            match service {
                ObjectService::S3 => within(prefix, s3(bucket)?),
                ObjectService::Gcs => {
                    let builder = GoogleCloudStorageBuilder::from_env();
                    let store = builder.with_bucket_name(bucket).with_retry(retry()).build();
                    within(prefix, store.map_err(|error| error.to_string())?)
                }
                ObjectService::Azure => {
                    let builder = MicrosoftAzureBuilder::from_env();
                    let store = builder
                        .with_container_name(bucket)
                        .with_retry(retry())
                        .build();
                    within(prefix, store.map_err(|error| error.to_string())?)
                }
            }
        }
    }
}

fn s3(bucket: &str) -> Result<impl ObjectStore + use<>, String> {
    let mut builder = AmazonS3Builder::from_env();
    if let Some(credentials) = aws_files::credentials()? {
        builder = builder
            .with_access_key_id(credentials.access_key_id)
            .with_secret_access_key(credentials.secret_access_key);
        if let Some(token) = credentials.session_token {
            builder = builder.with_token(token);
        }
    }
    let builder = builder.with_bucket_name(bucket).with_retry(retry());
    builder.build().map_err(|error| error.to_string())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is the end of each way to open"
)]
fn within(prefix: Path, store: impl ObjectStore) -> Result<Arc<dyn ObjectStore>, String> {
    match prefix.as_ref().is_empty() {
        true => Ok(Arc::new(store)),
        false => Ok(Arc::new(PrefixStore::new(store, prefix))),
    }
}

/// Short: the host keeps a delivery whose store is away, and tries it again with pauses of its own.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(10),
    }
}

/// The HTTP client under a store takes the TLS of the process.
fn install_tls() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Where another one is installed already, that serves as well.
        let _installed = ring::default_provider().install_default();
    });
}
