//! Components: compiled, checked, instantiated and called.
//!
//! An [`Engine`] loads the component of a plan into a [`Generation`]; a [`Slot`] holds the current
//! one. A generation takes an envelope and gives an [`Outcome`](hive_core::policy::Outcome): whatever a
//! component does wrong is a value, and nothing it does can reach past its own instance.

mod capability;
mod component;
mod engine;
mod instance;
mod pool;
mod swap;

pub use self::capability::requests::{Requester, Unanswered};
pub use self::capability::surroundings::{
    HttpOutcome, HttpRequest, Network, Surroundings, WallClock,
};
pub use self::component::access::Access;
pub use self::component::ahead_of_time::AheadOfTime;
pub use self::component::code::{Code, Source};
pub use self::component::compiling::Compiling;
pub use self::component::content::{Content, sum as sha256};
pub use self::component::cpu::Cpu;
pub use self::component::fault::{ComponentFault, Reason};
pub use self::engine::Engine;
pub use self::instance::call::Call;
pub use self::pool::allocation::EngineLimits;
pub use self::pool::calls::{Handed, Measured};
pub use self::pool::generation::Generation;
pub use self::swap::shadow::{Copied, Delivered, Observed, Repeating, Shadow};
pub use self::swap::slot::Slot;
pub use self::swap::trial::Trial;
