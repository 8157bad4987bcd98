//! The content of a component's file, as it was read or sent, and its checksum.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use hive_config::files;
use hive_config::plan::ComponentPlan;
use hive_core::codes::Code as ErrorCode;
use sha2::{Digest, Sha256};

use super::fault::Reason;

/// The content of a component's file.
#[derive(Debug)]
pub struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) hash: Arc<str>,
    /// It was sent, so it must not be native code.
    pub(super) is_sent: bool,
}

impl Content {
    /// Content that was sent instead of the file.
    pub(super) fn sent(bytes: Vec<u8>) -> Self {
        Self::new(bytes, true)
    }

    fn new(bytes: Vec<u8>, is_sent: bool) -> Self {
        Self {
            hash: sum(&bytes).into(),
            bytes,
            is_sent,
        }
    }

    /// `build` is the command that makes the file.
    pub(super) fn of_file(path: &Path, build: Option<&str>) -> Result<Self, Vec<Reason>> {
        let bytes = files::read(path).map_err(|error| {
            vec![match build.filter(|_| error.kind() == ErrorKind::NotFound) {
                Some(build) => Reason::new(
                    ErrorCode::NotBuilt,
                    format!(
                        "there is no such file yet; build it with `{build}` in the folder of hive.toml"
                    ),
                ),
                None => Reason::new(
                    ErrorCode::ComponentUnreadable,
                    format!("the file cannot be read: {error}"),
                ),
            }]
        })?;
        Ok(Self::new(bytes, false))
    }

    /// The SHA-256 of the file, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// `sha256` of the plan, if it wants one.
pub(super) fn check_sum(hash: &str, plan: &ComponentPlan) -> Result<(), Vec<Reason>> {
    match plan.sha256.as_deref() {
        Some(sum) if sum != hash => {
            let text = format!(
                "its SHA-256 is {hash}, and `sha256` wants {sum}; build that version, or write the sum of this one"
            );
            Err(vec![Reason::new(ErrorCode::WrongSum, text)])
        }
        _ => Ok(()),
    }
}

/// The SHA-256 of a content, in hexadecimal.
pub fn sum(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
