//! Who could have written a file of native code: it runs outside of the sandbox, so only those who could as well replace
//! the host's own program are trusted.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hive_core::codes::Code;
use rustix::process::geteuid;

use super::fault::Reason;

const ROOT: u32 = 0;
const GROUP_AND_OTHERS_WRITE: u32 = 0o022;
/// In a folder with this bit, nobody replaces the files of others.
const STICKY: u32 = 0o1000;

/// An error if the file, or a folder on the way to it, can be changed by a user who is neither root nor that of this
/// process.
pub(super) fn check(file: &Path) -> Result<(), Reason> {
    let user = geteuid().as_raw();
    let file = file
        .canonicalize()
        .map_err(|error| untrusted(&format!("its path cannot be followed: {error}")))?;
    for (index, path) in file.ancestors().enumerate() {
        let found = path.metadata();
        let found = found.map_err(|error| {
            untrusted(&format!("{} cannot be looked at: {error}", path.display()))
        })?;
        if let Some(why) = mistrust(Rights::of(&found), user, index > 0) {
            return Err(untrusted(&format!("{} {why}", path.display())));
        }
    }
    Ok(())
}

fn untrusted(why: &str) -> Reason {
    let text = format!(
        "it is native code, which only root and the user of the host may be able to change: {why}; or name the .wasm"
    );
    Reason::new(Code::UntrustedCode, text)
}

#[derive(Debug, Clone, Copy)]
struct Rights {
    owner: u32,
    mode: u32,
}

impl Rights {
    fn of(found: &Metadata) -> Self {
        Self {
            owner: found.uid(),
            mode: found.mode(),
        }
    }
}

/// Why a file or a folder with these rights is not trusted, and what to do.
fn mistrust(Rights { owner, mode }: Rights, user: u32, is_folder: bool) -> Option<String> {
    if owner != ROOT && owner != user {
        return Some(format!("belongs to the user {owner} (`chown` it)"));
    }
    let is_shared = mode & GROUP_AND_OTHERS_WRITE != 0;
    let is_kept_apart = is_folder && mode & STICKY != 0;
    (is_shared && !is_kept_apart).then(|| {
        let mode = mode & 0o7777;
        format!("can be written by its group or by everybody (mode {mode:04o}; `chmod go-w` it)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_own_user_may_write() {
        let trusts =
            |owner, mode, is_folder| mistrust(Rights { owner, mode }, 7, is_folder).is_none();
        assert!(trusts(7, 0o100_644, false) && trusts(ROOT, 0o100_644, false));
        assert!(trusts(7, 0o40_755, true) && trusts(ROOT, 0o40_755, true));
        assert!(!trusts(8, 0o100_600, false) && !trusts(8, 0o40_700, true));
        for shared in [0o020, 0o002] {
            assert!(!trusts(7, 0o100_644 | shared, false));
            assert!(!trusts(ROOT, 0o40_755 | shared, true));
            // The sticky bit means nothing on a file.
            assert!(!trusts(7, 0o101_644 | shared, false));
        }
        // As /tmp is.
        assert!(trusts(ROOT, 0o41_777, true));
    }
}
