//! The end of a call that did not return, in words: an interrupt, a limit, a trap with its innermost functions.

use std::char::DecodeUtf16Error;
use std::str::Utf8Error;
use std::time::Duration;

use hive_core::policy::Outcome;
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::state::State;

/// The longest text of an error that the host keeps in memory, in bytes.
const LONGEST_ERROR: usize = 64 * 1024;

/// Functions of the backtrace that are named, from the innermost.
const NAMED_FRAMES: usize = 4;

/// The outcome of a call that did not return, with words that help the component's author.
///
/// `called` is the function of the contract that the host called.
pub(super) fn outcome_of(
    error: wasmtime::Error,
    state: &mut State,
    called: &str,
    timeout: Duration,
) -> Outcome {
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return Outcome::TimedOut(timeout);
    }
    if let Some(denied) = state.limits.take_denied() {
        return Outcome::OverLimit(denied);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Outcome::HostFault(format!("no instance is free: {error:#}"));
    }
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls") {
        return Outcome::OverLimit(format!(
            "the answer, or an argument of a host function, takes more than {} bytes (`max_answer` of \
             the component raises the limit)",
            state.limits.answer()
        ));
    }
    Outcome::Trapped(bounded(describe_trap(&error, root, called, state)))
}

/// What the component itself said of it comes first: places that show little cut off the end.
fn describe_trap(error: &wasmtime::Error, root: String, called: &str, state: &State) -> String {
    let cause = cause_of_trap(error, root, called);
    match state.output.stderr_tail() {
        Some(told) => format!("{told}; {cause}"),
        None => cause,
    }
}

fn cause_of_trap(error: &wasmtime::Error, root: String, called: &str) -> String {
    let functions = innermost_functions(error);
    let mut text = match error.downcast_ref::<I32Exit>() {
        // `wasi:cli/exit.exit`, through which most toolchains exit, only says that it failed.
        Some(I32Exit(1)) => "the component exited with a failure".to_owned(),
        Some(I32Exit(status)) => format!("the component exited with status {status}"),
        None if is_no_text(error) => match functions.is_empty() {
            true => format!("a string in what `{called}` returned is not Unicode text: {root}"),
            false => format!("a string that it handed to the host is not Unicode text: {root}"),
        },
        None => root,
    };
    if !functions.is_empty() {
        text.push_str(" in ");
        text.push_str(&functions.join(" < "));
    }
    text
}

/// Whether a string of the component had an invalid encoding.
fn is_no_text(error: &wasmtime::Error) -> bool {
    let cause = error.root_cause();
    cause.is::<Utf8Error>() || cause.is::<DecodeUtf16Error>()
}

fn innermost_functions(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    backtrace
        .frames()
        .iter()
        .flat_map(functions)
        .take(NAMED_FRAMES)
        .collect()
}

/// The functions of a frame, from the innermost: with inlined ones, file and line if the component has debug
/// information; otherwise the one function, if it has a name.
fn functions(frame: &FrameInfo) -> Vec<String> {
    let inlined = frame.symbols().iter().filter_map(|symbol| {
        let name = demangled(symbol.name()?);
        Some(match (symbol.file(), symbol.line()) {
            (Some(file), Some(line)) => format!("{name} ({}:{line})", file_name(file)),
            _ => name,
        })
    });
    let inlined: Vec<String> = inlined.collect();
    match inlined.is_empty() {
        true => frame.func_name().map(demangled).into_iter().collect(),
        false => inlined,
    }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Without the folders, which are those of the machine that it was built on.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Cuts a text at a character's end.
pub(super) fn bounded(mut text: String) -> String {
    if text.len() > LONGEST_ERROR {
        text.truncate(text.floor_char_boundary(LONGEST_ERROR));
    }
    text
}
