//! What an expression looks at: a delivery, or a request over HTTP.

use std::fmt::Debug;

use cel::context::VariableResolver;

use crate::view::VARIABLES;

/// The names of a request, in the order of the documentation.
const OF_REQUEST: [&str; 3] = ["path", "headers", "body"];

/// What an expression may name.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'s> {
    /// The parts of a delivery.
    Delivery,
    /// Those of a request, whose path captures these names.
    Request(&'s [String]),
}

/// One delivery or request that expressions are evaluated for.
pub trait Sight: VariableResolver + Debug {
    /// Why the body has no value, if an expression asked for it.
    fn fault_of_body(&self) -> Option<&str>;
}

impl Scope<'_> {
    /// The variables.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Delivery => &VARIABLES,
            Self::Request(_) => &OF_REQUEST,
        }
    }
}
