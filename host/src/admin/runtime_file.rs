//! How commands find a running host whose hive.toml names no port: a file for each hive.toml, which the same user can
//! read on the same machine.
//!
//! It is in a folder that nobody else can write: whoever could would get the commands, and `host.admin_token` with them.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Permissions beyond those of the owner.
const OTHERS: u32 = 0o077;

/// Bytes of the checksum that names the file: enough to tell the files of one user apart.
const NAME_BYTES: usize = 16;

/// The file of a running host; removed when this is dropped, unless another host of the same hive.toml has written it
/// since.
#[derive(Debug)]
pub struct RuntimeFile(PathBuf);

impl RuntimeFile {
    /// Says that the host of `file` listens on `address`.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written, or is somebody else's.
    pub fn write(file: &Path, address: SocketAddr) -> io::Result<Self> {
        let folder = folder()?;
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => check(&folder)?,
        }
        let running = json!({ "address": address, "process": std::process::id() });
        // Renamed into its place, so that nobody reads half of it.
        let mut made = tempfile::NamedTempFile::new_in(&folder)?;
        made.write_all(running.to_string().as_bytes())?;
        let path = folder.join(name(file)?);
        made.persist(&path)?;
        Ok(Self(path))
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        if read(&self.0).is_ok_and(|(_, process)| process == std::process::id()) {
            // Left behind it leads nowhere, which the command that follows it says.
            let _gone = fs::remove_file(&self.0);
        }
    }
}

/// Where the host of `file` listens, if it has said so.
///
/// # Errors
///
/// The folder or the file is somebody else's, or cannot be read.
pub fn find(file: &Path) -> io::Result<Option<SocketAddr>> {
    let folder = folder()?;
    let found = check(&folder).and_then(|()| read(&folder.join(name(file)?)));
    match found {
        Ok((address, _)) => Ok(Some(address)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The address and the process of the host.
fn read(path: &Path) -> io::Result<(SocketAddr, u32)> {
    let said: Value = serde_json::from_slice(&fs::read(path)?)?;
    let address = said["address"].as_str().and_then(|text| text.parse().ok());
    let process = said["process"].as_u64();
    let process = process.and_then(|process| u32::try_from(process).ok());
    address.zip(process).ok_or_else(|| {
        let text = format!("{} says nothing of a host", path.display());
        io::Error::new(ErrorKind::InvalidData, text)
    })
}

/// `$XDG_RUNTIME_DIR/hive-host` (XDG Base Directory Specification), or one of the user's own in the folder for
/// temporary files.
fn folder() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    Ok(match runtime.filter(|path| path.is_absolute()) {
        Some(path) => path.join("hive-host"),
        None => std::env::temp_dir().join(format!("hive-host-{}", user()?)),
    })
}

fn user() -> io::Result<u32> {
    Ok(tempfile::tempfile()?.metadata()?.uid())
}

/// Whether the folder is this user's alone.
fn check(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    let is_own = metadata.is_dir() && metadata.uid() == user()? && metadata.mode() & OTHERS == 0;
    is_own.then_some(()).ok_or_else(|| {
        let text = format!("{} is not a folder of this user's alone", folder.display());
        io::Error::new(ErrorKind::PermissionDenied, text)
    })
}

fn name(file: &Path) -> io::Result<String> {
    let file = fs::canonicalize(file)?;
    let sum = Sha256::digest(file.as_os_str().as_encoded_bytes());
    let digits = sum[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}"));
    Ok(format!("{}.json", digits.collect::<String>()))
}
