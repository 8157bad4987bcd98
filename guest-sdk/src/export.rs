//! Between a handler and the host: what the attributes expand to.
//!
//! Public for the attributes alone; nothing here is for a consumer's author to call.

use std::fmt::Display;

use crate::{Action, Delivery, Publication};

/// What a handler may return: an [`Action`], a [`Publication`], or a `Result` of either.
pub trait IntoAnswer {
    /// As the host wants it.
    fn into_answer(self) -> Result<Action, String>;
}

impl IntoAnswer for Action {
    fn into_answer(self) -> Result<Action, String> {
        Ok(self)
    }
}

impl IntoAnswer for Publication {
    fn into_answer(self) -> Result<Action, String> {
        Ok(self.into())
    }
}

impl<A: Into<Action>, E: Display> IntoAnswer for Result<A, E> {
    fn into_answer(self) -> Result<Action, String> {
        // The alternate form shows the causes too, where an error has them (anyhow's does).
        self.map(Into::into).map_err(|error| format!("{error:#}"))
    }
}

/// Calls a handler with what the host handed over.
pub fn handle<A: IntoAnswer>(
    delivery: Delivery,
    handler: impl FnOnce(Delivery) -> A,
) -> Result<Action, String> {
    handler(delivery).into_answer()
}

/// Calls a batch handler with what the host handed over.
pub fn handle_batch<E: Display>(
    deliveries: Vec<Delivery>,
    handler: impl FnOnce(Vec<Delivery>) -> Result<Vec<Action>, E>,
) -> Result<Vec<Action>, String> {
    handler(deliveries).map_err(|error| format!("{error:#}"))
}

/// Calls a start function.
pub fn start<E: Display>(start: impl FnOnce() -> Result<(), E>) -> Result<(), String> {
    start().map_err(|error| format!("{error:#}"))
}

/// The start of a consumer that names none.
pub fn nothing_to_start() -> Result<(), String> {
    Ok(())
}

/// The stop of a consumer that names none.
pub fn nothing_to_stop(_reason: crate::StopReason) {}

/// Exports a handler to the host. Off wasm there is none, and only the types are checked.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (consumer, $handler:path) => {
        const _: () = {
            struct Component;
            impl $crate::bindings::consumer::exports::hive::consumer::handler::Guest for Component {
                fn handle(
                    delivery: $crate::Delivery,
                ) -> Result<$crate::Action, String> {
                    $crate::export::handle(delivery, $handler)
                }
            }
            // Natively nobody calls it; named once, it is checked and not called dead.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as $crate::bindings::consumer::exports::hive::consumer::handler::Guest>::handle;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::consumer::export!(Component with_types_in $crate::bindings::consumer);
        };
    };
    (batch_consumer, $handler:path) => {
        const _: () = {
            struct Component;
            impl $crate::bindings::batch_consumer::exports::hive::consumer::batch_handler::Guest for Component {
                fn handle_batch(
                    deliveries: Vec<$crate::Delivery>,
                ) -> Result<Vec<$crate::Action>, String> {
                    $crate::export::handle_batch(deliveries, $handler)
                }
            }
            // Natively nobody calls it; named once, it is checked and not called dead.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as $crate::bindings::batch_consumer::exports::hive::consumer::batch_handler::Guest>::handle_batch;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::batch_consumer::export!(Component with_types_in $crate::bindings::batch_consumer);
        };
    };
    (lifecycle, $start:path, $stop:path) => {
        const _: () = {
            struct Component;
            impl $crate::bindings::lifecycle::exports::hive::consumer::lifecycle::Guest for Component {
                fn start() -> Result<(), String> {
                    $crate::export::start($start)
                }
                fn stop(reason: $crate::StopReason) {
                    $stop(reason)
                }
            }
            // Natively nobody calls it; named once, it is checked and not called dead.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as $crate::bindings::lifecycle::exports::hive::consumer::lifecycle::Guest>::start;
                let _ = <Component as $crate::bindings::lifecycle::exports::hive::consumer::lifecycle::Guest>::stop;
            };
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export!(Component with_types_in $crate::bindings::lifecycle);
        };
    };
}
