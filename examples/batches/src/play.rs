//! What was played, as it comes and as it is kept.

use serde::{Deserialize, Serialize};

/// Somebody listened to something.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Play {
    track: String,
    listener: String,
    seconds: u32,
}

impl Play {
    /// As a line of the archive, with its end.
    pub(crate) fn line(&self) -> Result<String, String> {
        let line = serde_json::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{line}\n"))
    }
}
