//! Write a RabbitMQ consumer for Hive in Rust.
//!
//! A consumer is a function from a [`Delivery`] to an [`Action`]; [`consumer`] makes a component of
//! it. The function stays a plain one, so its unit tests are ordinary tests, run natively.
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
//! Build it with `cargo build --release --target wasm32-wasip2`, as a `cdylib` (and an `rlib`, for
//! its tests); the result is a component as it stands.
//!
//! # What a handler may answer
//!
//! An [`Action`], a [`Publication`] (published, then acknowledged), or a `Result` of either. An error
//! is retried by the consumer's retry policy, and its text is in the log and in the dead letter, as
//! `a: b` if it has a cause. What can never work is better rejected, and spends no retries.
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
//! A consumer with a `batch` in hive.toml hands its component deliveries by the dozen or the thousand,
//! in the order in which they came. The component answers with one action for each, in that order.
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
//! Each of them may as well be a [`Publication`], or a `Result`: an error is a retry of that delivery
//! alone, while an error in place of the list retries all of them.
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
//! # A beginning and an end
//!
//! Either attribute takes `start` and `stop`, or one of them.
//!
//! ```
//! use hive_guest::{Action, Delivery, StopReason};
//!
//! #[hive_guest::consumer(start = warm_up, stop = flush)]
//! fn handle(_delivery: Delivery) -> Action {
//!     Action::Ack
//! }
//!
//! /// Once in each instance, before its first delivery. An error keeps the instance out of service.
//! fn warm_up() -> Result<(), String> {
//!     Ok(())
//! }
//!
//! fn flush(_reason: StopReason) {}
//! ```

// The attributes name this crate from outside, as its users do, and so do its own tests.
extern crate self as hive_guest;

mod action;
mod delivery;
mod field_value;
mod message;
mod publication;

pub mod config;
pub mod keyvalue;
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

/// Makes a component of a function.
///
/// The function takes a [`Delivery`] and gives an [`Action`], a [`Publication`], or a `Result` of
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

/// Makes a component of a function that takes a batch.
///
/// The function takes the deliveries of a batch and gives one [`Action`] for each, in their order:
/// `fn(Vec<Delivery>) -> Vec<Action>`, or `-> Result<Vec<Action>, impl Display>`. In place of an action
/// may be a [`Publication`], or a `Result` of either, whose error retries that delivery alone. An error of
/// the whole, or a list of another length, retries the whole batch. `start` and `stop` are those of [`macro@consumer`].
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
