//! Contracts: what the body of a message has to be like before a component sees it, and that of a publication before it
//! is published.
//!
//! A [`Contract`] is compiled and checked once, when hive.toml is read. All that it does later is a pure function of the
//! message: nothing here waits, publishes or keeps anything.

mod contract;
mod decode;
mod schema;

pub use self::contract::{Admitted, Contract, PublicationSchema};
pub use self::decode::{Decoded, NotDecoded, decode};
pub use self::schema::{Mismatch, NoSchema, Read, Schema};
