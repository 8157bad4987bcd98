//! Reads a file that is one. A pipe or a device in its place may have no end, or nobody who writes.

use std::fs::{self, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What a file holds.
///
/// # Errors
///
/// It cannot be read, or is something other than a regular file; a link to one is as good.
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
        assert_eq!(read(file.path()).unwrap(), b"");
    }
}
