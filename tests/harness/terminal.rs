//! A program at a terminal, and somebody who types there.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use crate::eventually::eventually;
use crate::keeper;

/// A program at a pseudo-terminal of its own, which `script` of util-linux makes. Killed when it is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    pub(crate) fn open(mut script: Command, program: &str) -> Result<Self> {
        script
            .args(["--quiet", "--flush", "--command", program, "/dev/null"])
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = keeper::start(&mut script).context("cannot start script of util-linux")?;
        let keys = child.stdin.take().context("its input is piped")?;
        let mut output = child.stdout.take().context("its output is piped")?;
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                let text = String::from_utf8_lossy(&piece[..length]);
                shown.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        Ok(Self {
            child,
            keys,
            screen,
        })
    }

    /// Types these keys; a tab is `\t`, ctrl-a is `\x01`.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// All that it has shown so far, with what moves its cursor.
    pub fn text(&self) -> String {
        self.screen.lock().expect("nobody panics with it").clone()
    }

    /// Waits until the screen has shown this text, of all that it ever showed.
    pub async fn shows(&self, text: &str) -> Result<()> {
        let screen = || async { Ok(self.screen.lock().expect("nobody panics with it").clone()) };
        let what = format!("the terminal shows {text:?}");
        eventually(&what, screen, |screen: &String| screen.contains(text)).await?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
