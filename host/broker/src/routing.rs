//! Where a message goes: exchanges, bindings and how keys and headers match. Pure.

mod exchange;
mod headers;
mod topic;

pub(crate) use self::exchange::{Binding, Destination, Exchange, Kind};
