//! The code to which the attributes expand: it connects a handler to the host.
//!
//! Public only for the attributes; authors of consumers call nothing here.

use std::convert::Infallible;
use std::fmt::Display;

use crate::{Action, Publication};

/// The return type of a handler: an [`Action`], a [`Publication`], or a `Result` of either.
#[diagnostic::on_unimplemented(
    message = "a consumer cannot return `{Self}`",
    label = "it returns `Action`, `Publication`, or a `Result` of either whose error is `Display`"
)]
pub trait IntoAnswer {
    /// Why there is no answer.
    type Error: Display;

    /// The answer as a result.
    fn into_answer(self) -> Result<Action, Self::Error>;
}

impl IntoAnswer for Action {
    type Error = Infallible;

    fn into_answer(self) -> Result<Action, Infallible> {
        Ok(self)
    }
}

impl IntoAnswer for Publication {
    type Error = Infallible;

    fn into_answer(self) -> Result<Action, Infallible> {
        Ok(self.into())
    }
}

impl<A: Into<Action>, E: Display> IntoAnswer for Result<A, E> {
    type Error = E;

    fn into_answer(self) -> Result<Action, E> {
        self.map(Into::into)
    }
}

/// The return type of a batch handler: a `Vec` with an [`IntoAnswer`] for each delivery, or a `Result` of
/// such a `Vec`.
#[diagnostic::on_unimplemented(
    message = "a batch consumer cannot return `{Self}`",
    label = "it returns a `Vec` of `Action`, `Publication` or a `Result` of either, or a `Result` of such a `Vec`; errors are `Display`"
)]
pub trait IntoAnswers {
    /// Why there are no answers.
    type Error: Display;

    /// The answers as a result.
    fn into_answers(self) -> Result<Vec<Action>, Self::Error>;
}

impl<A: IntoAnswer> IntoAnswers for Vec<A> {
    type Error = Infallible;

    fn into_answers(self) -> Result<Vec<Action>, Infallible> {
        Ok(self.into_iter().map(or_retry).collect())
    }
}

impl<A: IntoAnswer, E: Display> IntoAnswers for Result<Vec<A>, E> {
    type Error = E;

    fn into_answers(self) -> Result<Vec<Action>, E> {
        self.map(|answers| answers.into_iter().map(or_retry).collect())
    }
}

/// In a batch, the error of one delivery retries that delivery alone.
fn or_retry(answer: impl IntoAnswer) -> Action {
    answer.into_answer().unwrap_or_else(Action::retry)
}

/// The return type of a start function: nothing, or a `Result` of nothing.
#[diagnostic::on_unimplemented(
    message = "a `start` function cannot return `{Self}`",
    label = "it returns nothing, or `Result<(), E>` with an `E` that is `Display`"
)]
pub trait IntoStarted {
    /// Why it did not start.
    type Error: Display;

    /// The start as a result.
    fn into_started(self) -> Result<(), Self::Error>;
}

impl IntoStarted for () {
    type Error = Infallible;

    fn into_started(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<E: Display> IntoStarted for Result<(), E> {
    type Error = E;

    fn into_started(self) -> Result<(), E> {
        self
    }
}

/// The start function of a consumer without one.
pub fn nothing_to_start() {}

/// The stop function of a consumer without one.
pub fn nothing_to_stop(_reason: crate::StopReason) {}

/// Exports a handler to the host. In a native build there is no host, and this only checks the types.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (consumer, $handler:path) => {
        const _: () = {
            use $crate::bindings::consumer as world;

            struct Component;
            impl world::exports::hive::consumer::handler::Guest for Component {
                fn handle(delivery: $crate::Delivery) -> Result<$crate::Action, String> {
                    let answer = $handler(delivery);
                    $crate::export::IntoAnswer::into_answer(answer)
                        .map_err(|error| $crate::__cause!(error))
                }
            }
            // A native build never calls it. Naming it here checks its types and avoids the dead code warning.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as world::exports::hive::consumer::handler::Guest>::handle;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::consumer::export!(Component with_types_in $crate::bindings::consumer);
        };
    };
    (batch_consumer, $handler:path) => {
        const _: () = {
            use $crate::bindings::batch_consumer as world;

            struct Component;
            impl world::exports::hive::consumer::batch_handler::Guest for Component {
                fn handle_batch(
                    deliveries: Vec<$crate::Delivery>,
                ) -> Result<Vec<$crate::Action>, String> {
                    let answers = $handler(deliveries);
                    $crate::export::IntoAnswers::into_answers(answers)
                        .map_err(|error| $crate::__cause!(error))
                }
            }
            // A native build never calls it. Naming it here checks its types and avoids the dead code warning.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as world::exports::hive::consumer::batch_handler::Guest>::handle_batch;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::batch_consumer::export!(Component with_types_in $crate::bindings::batch_consumer);
        };
    };
    (lifecycle, $start:path, $stop:path) => {
        const _: () = {
            use $crate::bindings::lifecycle as world;

            struct Component;
            impl world::exports::hive::consumer::lifecycle::Guest for Component {
                fn start() -> Result<(), String> {
                    let started = $start();
                    $crate::export::IntoStarted::into_started(started)
                        .map_err(|error| $crate::__cause!(error))
                }
                fn stop(reason: $crate::StopReason) {
                    $stop(reason)
                }
            }
            // A native build never calls it. Naming it here checks its types and avoids the dead code warning.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as world::exports::hive::consumer::lifecycle::Guest>::start;
                let _ = <Component as world::exports::hive::consumer::lifecycle::Guest>::stop;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export!(Component with_types_in $crate::bindings::lifecycle);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_a_batchs_answer_is_whatever_a_single_answer_may_be() {
        let publication = || Publication::to_queue("out");
        let answers: Vec<Result<Publication, &str>> = vec![Ok(publication()), Err("not now")];
        let actions = answers.into_answers().unwrap();
        assert_eq!(actions[0].publications(), [publication()]);
        assert_eq!(actions[1].as_retry().unwrap().reason, "not now");
        let failed: Result<Vec<Action>, &str> = Err("none of them");
        assert_eq!(failed.into_answers(), Err("none of them"));
        let done: Result<Vec<Action>, &str> = Ok(vec![Action::Ack]);
        assert!(done.into_answers().unwrap()[0].is_ack());
    }
}
