//! Whatever this process starts ends with it: on success, on a panic, and on `kill -9`.
//!
//! Every broker and host is started into one process group. A small shell outside of the group
//! reads a pipe that this process holds; the pipe closes when this process ends, however it ends,
//! and the shell then kills the group and removes its files. A destructor alone would not do:
//! statics are not dropped, and a killed process drops nothing.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::build::target_folder;

/// A process that is still dying may write once more, so the removal is tried again.
const KEEPER: &str = r#"
cat >/dev/null
kill -s KILL -- "-$1" 2>/dev/null
for pause in 0.1 0.5 2 5; do rm -rf -- "$2" 2>/dev/null && exit; sleep "$pause"; done
"#;

struct Keeper {
    group: i32,
    folder: PathBuf,
    /// Held open for as long as this process lives; the keeper waits for it to close.
    _pipes: [Option<ChildStdin>; 2],
}

/// Starts `command` so that it cannot outlive this process.
///
/// # Errors
/// When it cannot be started.
pub fn start(command: &mut Command) -> io::Result<Child> {
    command.process_group(keeper().group).spawn()
}

/// A new folder under the target folder, removed when this process ends.
///
/// # Panics
/// When it cannot be made.
pub fn scratch(label: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = keeper().folder.join(format!("{label}-{number}"));
    std::fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot make the folder {}: {error}", folder.display()));
    folder
}

/// The folder of all that this process makes with [`scratch`].
pub(crate) fn run_folder() -> &'static Path {
    &keeper().folder
}

fn keeper() -> &'static Keeper {
    static KEEPER: OnceLock<Keeper> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let folder = target_folder()
            .join("tests")
            .join(format!("run-{}", std::process::id()));
        start_keeper(&folder).expect("a shell is there to watch over what the tests start")
    })
}

fn start_keeper(folder: &Path) -> io::Result<Keeper> {
    // The first process of the group; it does nothing but give the group its number.
    let mut leader = Command::new("cat")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let group = i32::try_from(leader.id()).expect("process ids are positive 32-bit numbers");
    let mut shell = Command::new("sh")
        .args(["-c", KEEPER, "keeper", &group.to_string()])
        .arg(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Keeper {
        group,
        folder: folder.to_owned(),
        _pipes: [leader.stdin.take(), shell.stdin.take()],
    })
}

/// Sends `signal` (a name without SIG) to one process.
pub fn signal(process: u32, signal: &str) {
    assert!(
        try_signal(process, signal),
        "SIG{signal} could not be sent to process {process}: it has ended already"
    );
}

/// Stops one process with SIGSTOP, and waits until each of its threads stands still: the signal only asks for it, and
/// on a busy machine a thread runs on for hundreds of milliseconds.
pub(crate) fn hold(process: u32) {
    signal(process, "STOP");
    while runs(process) {
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing of the test goes on before the process stands still"
        )]
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a thread of the process is not stopped. None is, once the process has ended.
fn runs(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter();
    threads.flatten().flatten().any(|thread| {
        // A thread that ended meanwhile has no file any more. The state comes after the name, which is in brackets and
        // may have any character (proc_pid_stat(5)).
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map(|(_, fields)| fields.trim_start());
        state.is_some_and(|state| !state.starts_with(['T', 't', 'Z', 'X']))
    })
}

/// The same as [`signal`]; `false` if the process has ended already.
pub(crate) fn try_signal(process: u32, signal: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "kill", signal])
        .arg(process.to_string())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
