//! What is shown, as a value: looks and keys change it, and nothing else.

use crate::consumers::{Row, rows};
use crate::look::Look;
use crate::sort::Sort;
use crate::style::Colours;

/// A key that the screen knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Up, `k`.
    Up,
    /// Down, `j`.
    Down,
    /// Page up.
    PageUp,
    /// Page down, space.
    PageDown,
    /// Home, `g`.
    First,
    /// End, `G`.
    Last,
    /// Enter: one consumer in detail.
    Open,
    /// Escape, backspace: back to all of them.
    Back,
    /// `s`, right: sorts by the next column.
    NextColumn,
    /// `S`, left: by the column before.
    ColumnBefore,
    /// `r`: the other way round.
    Reverse,
    /// `q`, ctrl-c.
    Quit,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Goes,
    /// It was left.
    Quit,
}

/// What is shown.
#[derive(Debug)]
pub struct Screen {
    pub(crate) colours: Colours,
    pub(crate) sort: Sort,
    /// Sorted.
    pub(crate) rows: Vec<Row>,
    /// By name, so that it stays what it is when the order changes.
    pub(crate) chosen: Option<String>,
    /// The consumer in detail.
    pub(crate) opened: Option<String>,
    /// The first line of the detail that is shown.
    pub(crate) scrolled: u16,
    /// Rows that fit, as of the last picture.
    pub(crate) page: usize,
    pub(crate) now: Option<Look>,
    before: Option<Look>,
}

impl Screen {
    /// A screen that has seen nothing yet.
    pub fn new(coloured: bool) -> Self {
        Self {
            colours: Colours(coloured),
            sort: Sort::default(),
            rows: Vec::new(),
            chosen: None,
            opened: None,
            scrolled: 0,
            page: 1,
            now: None,
            before: None,
        }
    }

    /// The consumer that is shown in detail, whose deliveries the next look is to have.
    pub fn opened(&self) -> Option<&str> {
        self.opened.as_deref()
    }

    /// Takes what the host says now.
    pub fn took(&mut self, look: Look) {
        self.before = self.now.replace(look);
        self.make_rows();
    }

    /// Takes a key.
    pub fn pressed(&mut self, key: Key) -> Flow {
        match key {
            Key::Quit => return Flow::Quit,
            Key::Back => self.opened = None,
            Key::Open => self.open(),
            Key::NextColumn => self.sorted(self.sort.moved(1)),
            Key::ColumnBefore => self.sorted(self.sort.moved(-1)),
            Key::Reverse => self.sorted(Sort {
                reversed: !self.sort.reversed,
                ..self.sort
            }),
            Key::Up => self.moves(-1),
            Key::Down => self.moves(1),
            Key::PageUp => self.moves(-(self.page as isize)),
            Key::PageDown => self.moves(self.page as isize),
            Key::First => self.moves(isize::MIN),
            Key::Last => self.moves(isize::MAX),
        }
        Flow::Goes
    }

    /// Where the chosen row is.
    pub(crate) fn place(&self) -> usize {
        let chosen = self.chosen.as_deref();
        let place = self.rows.iter().position(|row| chosen == Some(&row.key));
        place.unwrap_or(0)
    }

    /// The consumer in detail, as the host says it now.
    pub(crate) fn opened_row(&self) -> Option<&Row> {
        let opened = self.opened.as_deref()?;
        self.rows.iter().find(|row| row.key == opened)
    }

    fn open(&mut self) {
        if self.opened.is_none() {
            self.opened = self.rows.get(self.place()).map(|row| row.key.clone());
            self.scrolled = 0;
        }
    }

    fn moves(&mut self, by: isize) {
        if self.opened.is_some() {
            let by = i32::try_from(by).unwrap_or(if by < 0 { i32::MIN } else { i32::MAX });
            let scrolled = i32::from(self.scrolled).saturating_add(by);
            self.scrolled = scrolled.clamp(0, i32::from(u16::MAX)) as u16;
            return;
        }
        let last = self.rows.len().saturating_sub(1);
        let place = self.place().saturating_add_signed(by).min(last);
        self.chosen = self.rows.get(place).map(|row| row.key.clone());
    }

    fn sorted(&mut self, sort: Sort) {
        self.sort = sort;
        self.make_rows();
    }

    fn make_rows(&mut self) {
        let Some(now) = &self.now else {
            return;
        };
        let mut rows = rows(self.before.as_ref(), now);
        self.sort.sort(&mut rows);
        self.rows = rows;
        if self.chosen.is_none() {
            self.chosen = self.rows.first().map(|row| row.key.clone());
        }
    }
}
