//! The processors that code can be compiled ahead for.

use std::fmt;
use std::str::FromStr;

use wasmtime::Config;

use super::native;

/// The levels of the x86-64 psABI that code is compiled for, each with all before it. The first level lacks SSSE3,
/// without which wasmtime has no SIMD.
const LEVELS: [&str; 3] = ["x86-64-v2", "x86-64-v3", "x86-64-v4"];

const NATIVE: &str = "native";

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu(
    /// A level, or the processor of this machine.
    Option<&'static str>,
);

impl Cpu {
    /// That of this machine, with everything that it can do.
    pub const NATIVE: Self = Self(None);

    pub(super) fn set_up(self, config: &mut Config) -> wasmtime::Result<()> {
        if let (Some(level), Some(target)) = (self.0, target()) {
            // With its name, nothing is inferred from the processor of this machine.
            config.target(target)?;
            native::set_level(config, level);
        }
        Ok(())
    }
}

/// The name of this kind of machine, where processors have levels.
fn target() -> Option<&'static str> {
    match cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        true => Some("x86_64-unknown-linux-gnu"),
        false => None,
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.unwrap_or(NATIVE))
    }
}

impl FromStr for Cpu {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == NATIVE {
            return Ok(Self::NATIVE);
        }
        let levels = match target() {
            Some(_) => &LEVELS[..],
            None => &[],
        };
        match levels.iter().find(|level| **level == name) {
            Some(level) => Ok(Self(Some(level))),
            None => {
                let names: Vec<&str> = [NATIVE].iter().chain(levels).copied().collect();
                Err(format!(
                    "this hive-host compiles for {}, and for no other kind of machine than its own",
                    names.join(", ")
                ))
            }
        }
    }
}
