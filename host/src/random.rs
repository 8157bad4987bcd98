//! Ids that are drawn.

/// An id that nobody else has, and nobody can guess.
pub(crate) fn id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
