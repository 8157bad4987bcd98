//! Consumers without code: conditions and texts in CEL (the Common Expression Language), and what they say about a
//! delivery. Texts may also be made for a request over HTTP ([`Request`]).
//!
//! [`Routes`] are compiled and checked once, when hive.toml is read, and give the same
//! [`Outcome`](hive_core::policy::Outcome) as a component does. All of it is a pure function of the delivery: nothing here waits, publishes or keeps anything.

mod budget;
mod check;
mod expression;
mod fault;
mod json;
mod request;
mod routes;
mod scope;
mod template;
mod view;

pub use self::expression::{Expression, Known};
pub use self::fault::{Failure, Fault, Why};
pub use self::request::Request;
pub use self::routes::{Answer, Publish, Route, Routes, Unreached};
pub use self::scope::{Scope, Sight};
pub use self::template::Template;
pub use self::view::View;
