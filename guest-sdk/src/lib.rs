//! Write a RabbitMQ consumer for Hive in Rust.
//!
//! A consumer is a function that takes a [`Delivery`] and returns an [`Action`]. The attribute
//! [`consumer`] turns it into a component. It remains an ordinary function, so its unit tests are
//! ordinary tests that run natively.
//!
//! ```
//! use hive_guest::{Action, Delivery, Publication};
//!
//! #[hive_guest::consumer]
//! fn handle(delivery: Delivery) -> Result<Action, String> {
//!     let name = delivery.text()?;
//!     if name.is_empty() {
//!         return Ok(Action::reject("nobody to greet"));
//!     }
//!     Ok(Publication::to_queue("greetings").text(format!("hello {name}")).into())
//! }
//!
//! // In a #[test]:
//! use hive_guest::testing::DeliveryBuilder;
//! let action = handle(DeliveryBuilder::new().text("Ada").build()).unwrap();
//! assert_eq!(action.publications()[0].message.text(), Ok("hello Ada"));
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2`, as a `cdylib` (and an `rlib`, for its
//! tests). The result is a component; no further tool is needed.
//!
//! # What a handler may return
//!
//! An [`Action`], a [`Publication`] (the host publishes it, then acknowledges), or a `Result` of either.
//! The host retries an error by the consumer's retry policy. The text of the error goes to the log and to
//! the dead letter, as `a: b` if it has a cause. Reject a message that can never work: that uses no
//! retries.
//!
//! ```
//! # use hive_guest::{Action, Delivery};
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct Order { sku: String }
//!
//! #[hive_guest::consumer]
//! fn handle(delivery: Delivery) -> Result<Action, String> {
//!     let order: Order = match delivery.json() {
//!         Ok(order) => order,
//!         // It will be as malformed next time.
//!         Err(error) => return Ok(Action::reject(error)),
//!     };
//!     if order.sku == "soon" {
//!         return Ok(Action::retry_after("not on sale yet", Duration::from_secs(60)));
//!     }
//!     Ok(Action::Ack)
//! }
//! # use hive_guest::testing::DeliveryBuilder;
//! # let answer = |json| handle(DeliveryBuilder::new().text(json).build()).unwrap();
//! # assert!(answer(r#"{"sku":"a"}"#).is_ack());
//! # assert_eq!(answer(r#"{"sku":"soon"}"#).as_retry().unwrap().delay_ms, Some(60_000));
//! # assert!(answer("{}").as_reject().unwrap().contains("sku"));
//! ```
//!
//! # Batches
//!
//! For a consumer with `batch` in hive.toml, the host hands many deliveries to the component in one call,
//! in the order in which they arrived. The component returns one action for each, in the same order.
//!
//! ```
//! use hive_guest::{Action, Delivery};
//!
//! #[hive_guest::batch_consumer]
//! fn handle(deliveries: Vec<Delivery>) -> Result<Vec<Action>, String> {
//!     let answer = |delivery: &Delivery| match delivery.body() {
//!         [] => Action::reject("the body is empty"),
//!         _ => Action::Ack,
//!     };
//!     Ok(deliveries.iter().map(answer).collect())
//! }
//!
//! // In a #[test]:
//! use hive_guest::testing::DeliveryBuilder;
//! let some = |text| DeliveryBuilder::new().text(text).build();
//! let answers = handle(vec![some("a"), some("")]).unwrap();
//! assert!(answers[0].is_ack() && answers[1].as_reject().is_some());
//! ```
//!
//! An element of the list may also be a [`Publication`], or a `Result`. The error of an element retries
//! that delivery alone; an error instead of the list retries all deliveries.
//!
//! ```
//! use hive_guest::{Delivery, Publication};
//!
//! #[hive_guest::batch_consumer]
//! fn handle(names: Vec<Delivery>) -> Vec<Result<Publication, String>> {
//!     let greet = |name: &Delivery| match name.text() {
//!         Ok(name) => Ok(Publication::to_queue("greetings").text(format!("hello {name}"))),
//!         Err(error) => Err(error.to_string()),
//!     };
//!     names.iter().map(greet).collect()
//! }
//! ```
//!
//! # Start and stop
//!
//! Both attributes accept `start` and `stop`, or only one of them.
//!
//! ```
//! use hive_guest::{Action, Delivery, StopReason};
//!
//! #[hive_guest::consumer(start = warm_up, stop = flush)]
//! fn handle(_delivery: Delivery) -> Action {
//!     Action::Ack
//! }
//!
//! /// Runs once in each instance, before its first delivery. After an error the instance is not used.
//! fn warm_up() -> Result<(), String> {
//!     Ok(())
//! }
//!
//! fn flush(_reason: StopReason) {}
//! ```

// The attributes name this crate by its external name, as its users do. So do its own tests.
extern crate self as hive_guest;

mod action;
mod delivery;
mod field_value;
mod message;
mod publication;

pub mod config;
pub mod keyvalue;
pub mod objects;
pub mod requests;
pub mod testing;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod cause;
#[doc(hidden)]
pub mod export;

pub use bindings::consumer::hive::consumer::types::{
    Action, Delivery, FieldValue, Message, Properties, Publication, Retry,
};
pub use bindings::lifecycle::hive::consumer::types::StopReason;
pub use message::{JsonError, TextError};

/// Turns a function into a component.
///
/// The function takes a [`Delivery`] and returns an [`Action`], a [`Publication`], or a `Result` of
/// either whose error is `Display`. `start` and `stop` name functions that run once in each instance:
/// `fn()` or `fn() -> Result<(), impl Display>`, and `fn(StopReason)`.
///
/// ```compile_fail
/// #[hive_guest::consumer]
/// struct NotAFunction;
/// ```
/// ```compile_fail
/// #[hive_guest::consumer]
/// fn answers_with_neither(_delivery: hive_guest::Delivery) -> bool {
///     true
/// }
/// ```
/// ```compile_fail
/// #[hive_guest::consumer(begin = warm_up)]
/// fn handle(_delivery: hive_guest::Delivery) -> hive_guest::Action {
///     hive_guest::Action::Ack
/// }
/// ```
pub use hive_guest_macros::consumer;

/// Turns a function that takes a batch into a component.
///
/// The function takes the deliveries of a batch and returns one [`Action`] for each, in their order:
/// `fn(Vec<Delivery>) -> Vec<Action>`, or `-> Result<Vec<Action>, impl Display>`. Instead of an action, an
/// element may be a [`Publication`], or a `Result` of either, whose error retries that delivery alone. An
/// error instead of the list, or a list of another length, retries the whole batch. `start` and `stop` work
/// as for [`macro@consumer`].
///
/// ```
/// use hive_guest::{Action, Delivery};
///
/// #[hive_guest::batch_consumer(start = warm_up)]
/// fn handle(deliveries: Vec<Delivery>) -> Vec<Action> {
///     vec![Action::Ack; deliveries.len()]
/// }
///
/// fn warm_up() {}
/// ```
pub use hive_guest_macros::batch_consumer;
