//! The broker over the wire, with lapin as the client. The clock stands still until a test turns it.

mod control;
mod delivering;
mod dying;
mod faults;
mod publishing;
mod raw;
mod refusals;
mod streams;
mod support;
