//! Components compiled ahead: a `.cwasm` file is native code behind a head that says what it was made for.
//!
//! The head is text, so `head -3 FILE` shows it. Its sum finds damage. It proves nothing about who made the file:
//! `trust.rs` is for that.

use hive_core::codes::Code;
use serde_json::{Value, json};

use super::content::sum;
use super::fault::Reason;

/// The first line.
const MARK: &str = "hive-host native code, format 1\n";

/// The engine whose code this is; a test holds it to Cargo.lock. Between two versions of it the same settings may
/// give other code, and one of them may be wrong.
const WASMTIME: &str = "48.0.8";

/// What native code was made for, and from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) host: String,
    pub(crate) wasmtime: String,
    /// The kind of machine, as in `x86_64-linux`.
    pub(crate) machine: String,
    pub(crate) cpu: String,
    /// The SHA-256 of the component that it was compiled from.
    pub(crate) source: String,
}

/// The keys of the head, in its JSON.
const KEYS: [&str; 5] = ["hive-host", "wasmtime", "machine", "cpu", "source-sha256"];

impl Head {
    /// For this host, and a processor of this name.
    pub(crate) fn of_this_host(cpu: &str, source: &str) -> Self {
        Self {
            host: env!("CARGO_PKG_VERSION").to_owned(),
            wasmtime: WASMTIME.to_owned(),
            machine: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            cpu: cpu.to_owned(),
            source: source.to_owned(),
        }
    }

    fn parts(&self) -> [&str; 5] {
        let Self {
            host,
            wasmtime,
            machine,
            cpu,
            source,
        } = self;
        [host, wasmtime, machine, cpu, source]
    }

    /// The file of this code.
    pub(crate) fn file(&self, code: &[u8]) -> Vec<u8> {
        let head: serde_json::Map<String, Value> = KEYS
            .iter()
            .zip(self.parts())
            .map(|(key, part)| ((*key).to_owned(), json!(part)))
            .collect();
        let mut rest = format!("{}\n", Value::Object(head)).into_bytes();
        rest.extend(code);
        let mut file = format!("{MARK}{}\n", sum(&rest)).into_bytes();
        file.extend(rest);
        file
    }

    /// Who made it, for what, in words.
    fn words(&self) -> String {
        format!(
            "hive-host {} (wasmtime {}) on {}",
            self.host, self.wasmtime, self.machine
        )
    }

    /// An error unless it was made for this host.
    pub(crate) fn check(&self) -> Result<(), Reason> {
        let here = Self::of_this_host(&self.cpu, &self.source);
        match *self == here {
            true => Ok(()),
            false => Err(other_host(&format!(
                "it was compiled ahead for {}, and this is {}",
                self.words(),
                here.words()
            ))),
        }
    }

    /// An error for code that this processor, or this engine, does not run.
    pub(crate) fn refused(&self, error: &wasmtime::Error) -> Reason {
        other_host(&format!(
            "it was compiled ahead for the processor {:?}, which this one cannot stand in for ({error:#})",
            self.cpu
        ))
    }
}

fn other_host(why: &str) -> Reason {
    let text = format!(
        "{why}; run `hive-host compile` with this hive-host on the .wasm, for this kind of processor, or name the .wasm"
    );
    Reason::new(Code::OtherEngine, text)
}

/// Whether the content is native code, of whatever origin.
pub(crate) fn is_native(content: &[u8]) -> bool {
    content.starts_with(MARK.as_bytes()) || wasmtime::Engine::detect_precompiled(content).is_some()
}

/// The head of a file, and the code behind it.
pub(crate) fn read(content: &[u8]) -> Result<(Head, &[u8]), Reason> {
    let Some(rest) = content.strip_prefix(MARK.as_bytes()) else {
        let text = "it is native code that `hive-host compile` did not make; name the .wasm, or compile that";
        return Err(Reason::new(Code::OtherEngine, text));
    };
    parse(rest).ok_or_else(|| {
        let text = "it is damaged: its content does not have the checksum that it had when it was made; copy it again, \
                    or run `hive-host compile` again";
        Reason::new(Code::DamagedCode, text)
    })
}

fn parse(rest: &[u8]) -> Option<(Head, &[u8])> {
    let (written, rest) = line(rest)?;
    if sum(rest).as_bytes() != written {
        return None;
    }
    let (head, code) = line(rest)?;
    let head: Value = serde_json::from_slice(head).ok()?;
    let [host, wasmtime, machine, cpu, source] =
        KEYS.map(|key| head[key].as_str().map(str::to_owned));
    let head = Head {
        host: host?,
        wasmtime: wasmtime?,
        machine: machine?,
        cpu: cpu?,
        source: source?,
    };
    Some((head, code))
}

/// The first line, and what is behind it.
fn line(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    Some((&content[..end], &content[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::of_this_host("x86-64-v3", "5a")
    }

    #[test]
    fn a_file_says_what_it_was_made_for() {
        let file = head().file(b"\x7fELF\n code");
        assert!(is_native(&file));
        let (read, code) = read(&file).unwrap();
        assert_eq!((read.clone(), code), (head(), &b"\x7fELF\n code"[..]));
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn each_damage_is_found() {
        let file = head().file(b"code");
        for index in MARK.len()..file.len() {
            let mut damaged = file.clone();
            damaged[index] ^= 1;
            let reason = read(&damaged).unwrap_err();
            assert_eq!(reason.code, Code::DamagedCode, "byte {index}");
            let reason = read(&file[..index]).unwrap_err();
            assert_eq!(reason.code, Code::DamagedCode, "the first {index} bytes");
        }
    }

    #[test]
    fn another_hosts_is_refused_by_name() {
        let other = |change: fn(&mut Head)| {
            let mut head = head();
            change(&mut head);
            head.check().unwrap_err().text
        };
        let text = other(|head| head.host = "0.0.9".into());
        assert!(text.contains("for hive-host 0.0.9 (wasmtime"), "{text}");
        assert!(text.contains(concat!("this is hive-host ", env!("CARGO_PKG_VERSION"))));
        assert!(text.contains("`hive-host compile`"), "{text}");
        let text = other(|head| head.wasmtime = "47.0.1".into());
        assert!(text.contains("(wasmtime 47.0.1)"), "{text}");
        let text = other(|head| head.machine = "riscv64-linux".into());
        assert!(text.contains("on riscv64-linux"), "{text}");
    }

    #[test]
    fn the_version_of_the_engine_is_that_of_the_lock_file() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(
            lock.contains(&entry),
            "write the version of Cargo.lock to WASMTIME"
        );
    }
}
