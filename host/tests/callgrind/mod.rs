//! Counts instructions: valgrind's callgrind runs this test's own executable, and writes down how many instructions were
//! executed between two marks. An instruction is counted where it is executed, so neither the speed of the machine nor what
//! else it does makes a difference.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::process::Command;

/// How often each path is gone. The fewest instructions of all count: the clock of the sandbox and that of the runtime tick
/// in real time, and what they do in between is in some runs and not in others.
const RUNS: usize = 30;

/// From here on instructions are counted; callgrind knows it by its name.
#[inline(never)]
fn callgrind_counts_from_here(run: usize) -> usize {
    black_box(run)
}

/// What was counted up to here is written down.
#[inline(never)]
fn callgrind_counts_up_to_here(run: usize) -> usize {
    black_box(run)
}

/// Goes a path, for callgrind.
pub(crate) fn go<I, T>(input: impl Fn() -> I, mut work: impl FnMut(I) -> T) {
    for run in 0..RUNS {
        let input = input();
        begin(run);
        black_box(work(black_box(input)));
        black_box(callgrind_counts_up_to_here(run));
    }
}

/// The same for work that waits.
pub(crate) async fn go_waiting<F: Future>(mut work: impl FnMut(u64) -> F) {
    for run in 0..RUNS {
        begin(run);
        black_box(work(run as u64).await);
        black_box(callgrind_counts_up_to_here(run));
    }
}

/// Lets the clocks of other threads tick first: after the time that callgrind takes to write, each of them is due.
fn begin(run: usize) {
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing else runs on this thread"
    )]
    std::thread::sleep(std::time::Duration::from_millis(3));
    black_box(callgrind_counts_from_here(run));
}

/// Runs `test` of this executable under callgrind; gives the instructions of each of its `paths`, in the order in which it
/// goes them. `file` gets what was counted, function by function.
///
/// # Errors
///
/// There is no valgrind, or the run failed: in words.
pub(crate) fn count(test: &str, paths: usize, file: &Path) -> Result<Vec<u64>, Fault> {
    // What a run before this one left would be continued.
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(Fault::Failed(format!("{}: {error}", file.display())));
    }
    let executable = std::env::current_exe().expect("this executable has a path");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--combine-dumps=yes"])
        .args(["--zero-before=*callgrind_counts_from_here*"])
        .args(["--dump-before=*callgrind_counts_up_to_here*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(executable)
        .args(["--exact", test, "--ignored", "--nocapture"])
        // The guests are there.
        .env("HIVE_TESTS_BUILT", "1");
    let output = match valgrind.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::NoValgrind),
        Err(error) => return Err(Fault::Failed(format!("valgrind: {error}"))),
    };
    let told = |text: String| {
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        Fault::Failed(format!("{text}\n{out}\n{err}"))
    };
    if !output.status.success() {
        return Err(told(format!("under valgrind: {}", output.status)));
    }
    let dumps = std::fs::read_to_string(file).map_err(|error| told(error.to_string()))?;
    let runs = totals(&dumps);
    if runs.len() != paths * RUNS {
        let text = format!(
            "callgrind wrote {} parts, not {paths} times {RUNS}",
            runs.len()
        );
        return Err(told(text));
    }
    let fewest = |runs: &[u64]| runs.iter().copied().min().unwrap_or_default();
    Ok(runs.chunks(RUNS).map(fewest).collect())
}

/// Why nothing was counted.
pub(crate) enum Fault {
    /// It is not installed.
    NoValgrind,
    Failed(String),
}

/// What was counted up to each mark, by callgrind's format ("Callgrind Format Specification" of its manual). The last part
/// ends with the program and not with a mark.
fn totals(dumps: &str) -> Vec<u64> {
    let mut totals = Vec::new();
    let mut ends_with_a_mark = false;
    for line in dumps.lines() {
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            ends_with_a_mark = trigger.contains("callgrind_counts_up_to_here");
        } else if let Some(total) = line.strip_prefix("totals: ")
            && ends_with_a_mark
        {
            totals.extend(total.trim().parse::<u64>());
        }
    }
    totals
}
