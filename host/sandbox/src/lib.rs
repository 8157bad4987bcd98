//! Components: compiled, checked, instantiated and called.
//!
//! An [`Engine`] loads the component of a plan into a [`Generation`]; a [`Slot`] holds the current
//! one. A generation takes an envelope and gives an [`Outcome`](hive_core::policy::Outcome): whatever a
//! component does wrong is a value, and nothing it does can reach past its own instance.

mod access;
mod bindings;
mod capability;
mod code;
mod convert;
mod engine;
mod exports;
mod fault;
mod generation;
mod instance;
mod invoke;
mod limits;
mod logs;
mod measured;
mod places;
mod slot;
mod state;
mod surroundings;
mod trial;
mod warm;

pub use access::Access;
pub use code::{Code, Content, Source};
pub use engine::{Engine, EngineLimits};
pub use fault::{ComponentFault, Reason};
pub use generation::Generation;
pub use invoke::Call;
pub use measured::{Handed, Measured};
pub use slot::Slot;
pub use surroundings::{HttpOutcome, HttpRequest, Network, Surroundings, WallClock};
pub use trial::Trial;
