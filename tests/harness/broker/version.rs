//! The RabbitMQ versions that the tests know, and the one that a run is for.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// The variable that chooses the version of a run.
const CHOICE: &str = "HIVE_BROKER";

/// The value of that variable for the broker in the process.
const MEMORY: &str = "memory";

/// Whether this run is for the broker of `hive-host broker` instead of a RabbitMQ.
pub(super) fn run_is_in_memory() -> bool {
    std::env::var(CHOICE).is_ok_and(|chosen| chosen == MEMORY)
}

/// A RabbitMQ version, as far as it decides what the broker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.10.8, as Debian 12 ships it.
    V3_10,
    /// 4.0.5, as Debian 13 ships it: the default delivery limit of quorum queues is 20.
    V4_0,
    /// 4.3.6, as Debian's testing release ships it: Khepri in place of Mnesia, returns that are not failures.
    V4_3,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Self; 3] = [Self::V3_10, Self::V4_0, Self::V4_3];

    /// The version that this run is for: `HIVE_BROKER`, or the newest. The broker in the process answers as the newest.
    ///
    /// # Errors
    /// When `HIVE_BROKER` names none.
    pub fn of_run() -> Result<Self> {
        match std::env::var(CHOICE) {
            Ok(chosen) if chosen != MEMORY => chosen.parse().context(CHOICE),
            _ => Ok(Self::V4_3),
        }
    }

    /// The first two numbers of the version, as `HIVE_BROKER` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10",
            Self::V4_0 => "4.0",
            Self::V4_3 => "4.3",
        }
    }

    /// The release, as it is tested.
    pub fn release(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10.8",
            Self::V4_0 => "4.0.5",
            Self::V4_3 => "4.3.6",
        }
    }

    /// Whether this is one of `versions`. Where it is not, a line of the run's output says that the
    /// test does not apply, and why: a test that does nothing is never taken for one that passed.
    ///
    /// A behaviour that merely differs is matched on instead, so that each version is asserted.
    #[must_use]
    pub fn is_one_of(self, versions: &[Self], test: &str, why: &str) -> bool {
        let applies = versions.contains(&self);
        if !applies {
            // Not `eprintln!`, which the test runner keeps to itself.
            let line = format!("{test} does not apply to RabbitMQ {self}: {why}\n");
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
        applies
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|version| version.name() == text);
        let Some(version) = named else {
            bail!("there is no broker `{text}`: choose 3.10, 4.0, 4.3 or memory");
        };
        Ok(version)
    }
}
