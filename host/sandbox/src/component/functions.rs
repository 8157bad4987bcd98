//! Compiled functions, kept from one compilation to the next: of a component that is built again, most functions
//! are those of before.
//!
//! A component in Python or JavaScript is an interpreter of ten thousand functions and a piece of memory. A change of
//! its source changes the memory alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use hive_config::files;
use sha2::{Digest, Sha256};
use wasmtime::CacheStore;

/// The file's name in the folder of compiled code.
const FILE: &str = "functions";

/// What all functions together may take in memory; further ones are compiled each time.
const LARGEST: usize = 256 << 20;

/// What the file may take. Functions that this process needed come first: others are of other projects, or of
/// versions that are gone.
const LARGEST_FILE: usize = 128 << 20;

/// The rights of the file: what others write there would be run.
const MODE: u32 = 0o644;

/// The bytes of a SHA-256.
const SUM: usize = 32;

/// Compiled functions by the hash of what they were compiled from.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    file: Option<PathBuf>,
    kept: RwLock<Kept>,
    /// Some are not in the file yet.
    has_new: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    functions: HashMap<Vec<u8>, Function>,
    bytes: usize,
}

#[derive(Debug)]
struct Function {
    code: Vec<u8>,
    /// It was needed since the start of the process.
    is_used: AtomicBool,
}

impl Functions {
    /// The functions in the file of this folder, if it has one and it is whole.
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join(FILE));
        let content = file.as_deref().and_then(|file| files::read(file).ok());
        let functions = content.as_deref().and_then(parse).unwrap_or_default();
        let kept = Kept {
            bytes: functions
                .iter()
                .map(|(key, one)| size(key, &one.code))
                .sum(),
            functions,
        };
        Self {
            file,
            kept: RwLock::new(kept),
            has_new: AtomicBool::new(false),
        }
    }

    /// Writes them to the file, if there are new ones. A file that cannot be written costs the next process time, and
    /// nothing else.
    pub(crate) fn save(&self) {
        let Some(file) = &self.file else {
            return;
        };
        if !self.has_new.swap(false, Ordering::AcqRel) {
            return;
        }
        let content = self.content();
        if let Err(error) = write(file, &content) {
            tracing::debug!(file = %file.display(), %error, "compiled functions are not kept");
        }
    }

    fn content(&self) -> Vec<u8> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let mut content = Vec::with_capacity(kept.bytes + SUM);
        for is_used in [true, false] {
            for (key, function) in &kept.functions {
                let is_wanted = function.is_used.load(Ordering::Relaxed) == is_used;
                if !is_wanted || content.len() + size(key, &function.code) > LARGEST_FILE {
                    continue;
                }
                for part in [key, &function.code] {
                    content.extend((part.len() as u64).to_le_bytes());
                    content.extend(part);
                }
            }
        }
        let sum = Sha256::digest(&content);
        content.extend(sum);
        content
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let function = kept.functions.get(key)?;
        function.is_used.store(true, Ordering::Relaxed);
        Some(Cow::Owned(function.code.clone()))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes.saturating_add(size(key, &code));
        if bytes > LARGEST {
            return false;
        }
        let is_used = AtomicBool::new(true);
        let function = Function { code, is_used };
        if kept.functions.insert(key.to_vec(), function).is_none() {
            kept.bytes = bytes;
        }
        self.has_new.store(true, Ordering::Release);
        true
    }
}

fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    files::replace(file, content, MODE)
}

/// What a function takes, about.
fn size(key: &[u8], code: &[u8]) -> usize {
    key.len() + code.len() + 2 * size_of::<u64>()
}

/// The functions of a file; none of a file that is cut off or damaged.
fn parse(content: &[u8]) -> Option<HashMap<Vec<u8>, Function>> {
    let (mut rest, sum) = content.split_last_chunk::<SUM>()?;
    if Sha256::digest(rest)[..] != sum[..] {
        return None;
    }
    let mut functions = HashMap::new();
    while !rest.is_empty() {
        let key = part(&mut rest)?.to_vec();
        let code = part(&mut rest)?.to_vec();
        let is_used = AtomicBool::new(false);
        functions.insert(key, Function { code, is_used });
    }
    Some(functions)
}

/// The next part, behind its length.
fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_there_again_in_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Functions::open(Some(folder.path()));
        let first = open();
        assert!(first.insert(b"a", b"one".to_vec()) && first.insert(b"b", Vec::new()));
        first.save();
        let second = open();
        assert_eq!(second.get(b"a").as_deref(), Some(&b"one"[..]));
        assert!(second.insert(b"c", b"three".to_vec()));
        second.save();
        let third = open();
        let found = |key: &[u8]| third.get(key).map(Cow::into_owned);
        assert_eq!(found(b"a"), Some(b"one".to_vec()));
        assert_eq!(found(b"b"), Some(Vec::new()));
        assert_eq!(found(b"d"), None);
        assert_eq!(found(b"c"), Some(b"three".to_vec()));
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Functions::open(Some(folder.path()));
        let first = open();
        assert!(first.insert(b"a", b"one".to_vec()));
        first.save();
        let file = folder.path().join(FILE);
        let whole = std::fs::read(&file).unwrap();
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            std::fs::write(&file, &damaged).unwrap();
            assert!(open().get(b"a").is_none(), "byte {index}");
            std::fs::write(&file, &whole[..index]).unwrap();
            assert!(open().get(b"a").is_none(), "the first {index} bytes");
        }
    }
}
