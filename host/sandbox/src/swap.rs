//! Which generation of a component takes a delivery: the current one, or a canary on trial beside it; and which one gets
//! a copy.

pub(crate) mod shadow;
pub(crate) mod slot;
pub(crate) mod trial;
