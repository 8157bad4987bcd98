//! The screen at a terminal, which is left as it was found: at the end, at an error, at a signal and at a panic.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, try_init, try_restore};

use crate::look::Look;
use crate::screen::{Flow, Key, Screen};

/// How soon a key, a look or a signal is seen.
const TICK: Duration = Duration::from_millis(50);

/// Between two looks at the host.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug)]
pub enum Ended<E> {
    /// It was left, by a key or a signal.
    Left,
    /// The host could not be looked at.
    Away(E),
    /// The terminal cannot be used.
    Terminal(io::Error),
}

/// Restores the terminal when it is dropped.
struct Restored(DefaultTerminal);

impl Drop for Restored {
    fn drop(&mut self) {
        // One that is gone needs none.
        let _restored = try_restore();
    }
}

/// Shows the host until it is left, `stop` is set, or a look fails. `look` is called every second on a thread of its own,
/// with the consumer whose deliveries are wanted.
pub fn watch<E: Send + 'static>(
    coloured: bool,
    stop: &AtomicBool,
    look: impl FnMut(Option<&str>) -> Result<Look, E> + Send + 'static,
) -> Ended<E> {
    let opened = Arc::new(Mutex::new(None));
    let (looking, looks) = start(look, Arc::clone(&opened));
    // Before the terminal is taken: a host that is away from the beginning is an error like any other.
    let first = match first(&looks, stop) {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Ended::Away(error),
        None => return Ended::Left,
    };
    let terminal = match try_init() {
        Ok(terminal) => terminal,
        Err(error) => return Ended::Terminal(error),
    };
    let mut terminal = Restored(terminal);
    let mut screen = Screen::new(coloured);
    screen.took(first);
    loop {
        let drawn = terminal.0.draw(|frame| screen.draw(frame));
        if let Err(error) = drawn {
            return Ended::Terminal(error);
        }
        match next(&looks, stop, &mut screen) {
            Ok(Step::Draw) => {}
            Ok(Step::Leave) => return Ended::Left,
            Ok(Step::Away(error)) => return Ended::Away(error),
            Err(error) => return Ended::Terminal(error),
        }
        let wanted = screen.opened().map(str::to_owned);
        let before = {
            let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *opened, wanted.clone())
        };
        if wanted.is_some() && wanted != before {
            looking.unpark();
        }
    }
}

/// What comes next.
enum Step<E> {
    Draw,
    Leave,
    Away(E),
}

/// Waits until there is something new to draw, or it is over.
fn next<E>(
    looks: &Receiver<Result<Look, E>>,
    stop: &AtomicBool,
    screen: &mut Screen,
) -> io::Result<Step<E>> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Step::Leave);
        }
        match looks.try_recv() {
            Ok(Ok(look)) => {
                screen.took(look);
                return Ok(Step::Draw);
            }
            Ok(Err(error)) => return Ok(Step::Away(error)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(Step::Leave),
        }
        if !event::poll(TICK)? {
            continue;
        }
        match event::read()? {
            Event::Key(pressed) => {
                if let Some(key) = key(pressed) {
                    return Ok(match screen.pressed(key) {
                        Flow::Goes => Step::Draw,
                        Flow::Quit => Step::Leave,
                    });
                }
            }
            Event::Resize(..) => return Ok(Step::Draw),
            _ => {}
        }
    }
}

/// Looks at the host until nobody takes what is seen. The thread may be left in a look.
fn start<E: Send + 'static>(
    mut look: impl FnMut(Option<&str>) -> Result<Look, E> + Send + 'static,
    opened: Arc<Mutex<Option<String>>>,
) -> (Thread, Receiver<Result<Look, E>>) {
    let (to, looks) = mpsc::sync_channel(1);
    let looking = thread::spawn(move || {
        loop {
            let name = opened
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let seen = look(name.as_deref());
            let is_over = seen.is_err();
            if to.send(seen).is_err() || is_over {
                return;
            }
            // A consumer that was opened is looked at now.
            thread::park_timeout(LOOK_EVERY);
        }
    });
    (looking.thread().clone(), looks)
}

/// The first look; `None` if it is over before.
fn first<E>(looks: &Receiver<Result<Look, E>>, stop: &AtomicBool) -> Option<Result<Look, E>> {
    while !stop.load(Ordering::Relaxed) {
        match looks.recv_timeout(TICK) {
            Ok(first) => return Some(first),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

/// What a key means here.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    if pressed.modifiers.contains(KeyModifiers::CONTROL) {
        return (pressed.code == KeyCode::Char('c')).then_some(Key::Quit);
    }
    Some(match pressed.code {
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Enter => Key::Open,
        KeyCode::Esc | KeyCode::Backspace => Key::Back,
        KeyCode::Right | KeyCode::Char('s') => Key::NextColumn,
        KeyCode::Left | KeyCode::Char('S') => Key::ColumnBefore,
        KeyCode::Char('r') => Key::Reverse,
        KeyCode::Char('q') => Key::Quit,
        _ => return None,
    })
}
