//! Keys that `dev` takes at a terminal, each with Enter.
//!
//! The terminal keeps its own modes: a `dev` that is killed leaves nothing to repair, and a build command finds the
//! terminal as it is.

use std::io::{self, IsTerminal};

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::mpsc;

use crate::cli::say::out;

/// Keys that wait while a build runs; further ones are dropped.
const WAITING: usize = 4;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Builds again, and takes what was built.
    Rebuild,
    /// Publishes the messages of `--feed` again.
    Feed,
}

impl Key {
    fn of(line: &str) -> Option<Self> {
        match line.trim() {
            "r" => Some(Self::Rebuild),
            "f" => Some(Self::Feed),
            _ => None,
        }
    }
}

/// The keyboard, and the keys that came from it. A session takes them between two things that it does.
pub(super) struct Keys {
    typed: mpsc::Sender<Key>,
}

impl Keys {
    /// The keyboard, and its keys in their order.
    pub(super) fn new() -> (Self, mpsc::Receiver<Key>) {
        let (typed, keys) = mpsc::channel(WAITING);
        (Self { typed }, keys)
    }

    /// Reads keys until one asks for the end. Without a terminal, that never happens.
    pub(super) async fn until_quit(self) {
        if is_there() {
            out!("{HELP}");
            let mut lines = BufReader::new(stdin()).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.trim() == QUIT {
                    return;
                }
                match Key::of(&line) {
                    Some(key) => {
                        // More than wait already change nothing.
                        let _taken = self.typed.try_send(key);
                    }
                    None => out!("{HELP}"),
                }
            }
        }
        std::future::pending().await
    }
}

/// The key that ends `dev`.
const QUIT: &str = "q";

const HELP: &str =
    "keys, each with Enter: r builds again, f feeds the messages of --feed again, q ends";

/// Whether somebody can type. Who reads from a terminal in the background is stopped by the system.
fn is_there() -> bool {
    io::stdin().is_terminal() && !is_in_background()
}

fn is_in_background() -> bool {
    // Where the system has no such file, nobody knows.
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    in_background(&status).unwrap_or(false)
}

/// Whether the process group of a process is another than that of its terminal; from its line in `/proc` (proc(5)).
fn in_background(status: &str) -> Option<bool> {
    // The name of the program is in brackets, and may have any character.
    let (_, behind) = status.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let (own, terminals) = (fields.get(2)?, fields.get(5)?);
    Some(own != terminals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line_of_one_letter() {
        assert_eq!(Key::of("r\n"), Some(Key::Rebuild));
        assert_eq!(Key::of(" f "), Some(Key::Feed));
        assert_eq!(Key::of("rf"), None);
        assert_eq!(Key::of(""), None);
    }

    #[test]
    fn a_process_in_the_background_reads_no_keys() {
        let line = |group: u32, terminal: u32| {
            format!("7 (a ) b) S 1 {group} 5 34816 {terminal} 4194304 1 2 3\n")
        };
        assert_eq!(in_background(&line(5, 5)), Some(false));
        assert_eq!(in_background(&line(6, 5)), Some(true));
        assert_eq!(in_background(""), None);
    }
}
