//! Which generation of a component takes a delivery: the current one, or a canary on trial beside it.

pub(crate) mod slot;
pub(crate) mod trial;
