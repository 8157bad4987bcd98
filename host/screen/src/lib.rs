//! The screen of `hive-host status --watch`: the consumers of a running host, sorted and paged, and one of them in detail.
//!
//! [`Screen`] is what is shown, as a value: looks at the host and keys go in, a picture comes out. Only [`watch`] knows
//! a terminal. Texts of others are escaped as a row is made of them.

mod consumers;
mod detail;
mod look;
mod screen;
mod sort;
mod style;
mod terminal;
mod view;

pub use self::look::Look;
pub use self::screen::{Flow, Key, Screen};
pub use self::terminal::{Ended, watch};
