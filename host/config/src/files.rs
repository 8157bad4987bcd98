//! Reads what a user names, and comes to an end: a device or a pipe in the place of a file may have none, or no
//! writer. Writes whole files.

use std::fs::{self, File, FileType, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// The content of a file.
///
/// # Errors
///
/// It cannot be read, or is not a regular file; a link to one is accepted.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    check(path)?;
    fs::read(path)
}

/// The same of a file that holds text.
///
/// # Errors
///
/// As those of [`read`], and text that is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    check(path)?;
    fs::read_to_string(path)
}

/// What a file holds, or an open pipe such as that of the shell's `<(…)`, or a device, where that is no more than
/// `most` bytes.
///
/// # Errors
///
/// It cannot be read, holds more than that, or is a pipe by name, whose writer may never come.
pub fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let is_open_already = ["/dev/fd", "/dev/stdin", "/proc/self/fd"]
        .iter()
        .any(|open| path.starts_with(open));
    if !is_open_already && fs::metadata(path)?.file_type().is_fifo() {
        let text = "it is a pipe, which may have no writer; give it as standard input";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    all_of(File::open(path)?, most)
}

/// The same of a file that holds text.
///
/// # Errors
///
/// As those of [`read_at_most`], and text that is not UTF-8.
pub fn read_text_at_most(path: &Path, most: usize) -> io::Result<String> {
    let bytes = read_at_most(path, most)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// What comes out of `source` to its end.
///
/// # Errors
///
/// It cannot be read, or more than `most` bytes come.
pub fn all_of(source: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() <= most {
        true => Ok(bytes),
        false => {
            let text = format!("it has more than {most} bytes");
            Err(io::Error::new(ErrorKind::InvalidData, text))
        }
    }
}

/// Puts a file with this content and these rights in the place of the one before, in one step: who reads it meanwhile
/// finds one or the other, and never a part.
///
/// # Errors
///
/// Its folder is missing, or it cannot be written there.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut new = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(content)?;
    new.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    new.persist(path)?;
    Ok(())
}

fn check(path: &Path) -> io::Result<()> {
    let is = fs::metadata(path)?.file_type();
    match is.is_file() {
        true => Ok(()),
        false => {
            let text = format!("it is {}, not a regular file", kind(is));
            Err(io::Error::new(ErrorKind::InvalidInput, text))
        }
    }
}

fn kind(is: FileType) -> &'static str {
    match is {
        _ if is.is_dir() => "a directory",
        _ if is.is_fifo() => "a pipe",
        _ if is.is_socket() => "a socket",
        _ => "a device",
    }
}

/// A text without the byte order mark that some editors put in front of it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_no_end_is_not_read() {
        let error = |path: &str| read(Path::new(path)).unwrap_err().to_string();
        assert_eq!(error("/dev/zero"), "it is a device, not a regular file");
        assert_eq!(error("/"), "it is a directory, not a regular file");
        assert_eq!(
            read(Path::new("/none")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = read_at_most(Path::new("/dev/null"), 0).unwrap();
        assert_eq!(empty, b"");
        assert_eq!(read(file.path()).unwrap(), b"");
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for content in [&b"one"[..], b"two"] {
            replace(&path, content, 0o640).unwrap();
            assert_eq!(read(&path).unwrap(), content);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(replace(&path.join("b"), b"", 0o640).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_read_to_its_end_has_a_bound() {
        let zeros = |path: &str| read_at_most(Path::new(path), 10).unwrap_err().to_string();
        assert_eq!(zeros("/dev/zero"), "it has more than 10 bytes");
        assert_eq!(all_of(&[7; 10][..], 10).unwrap(), [7; 10]);
        assert!(all_of(&[7; 11][..], 10).is_err());
    }
}
