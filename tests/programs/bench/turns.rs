//! Who comes when: [`turns`].

/// The contenders of a round, each round beginning with the next of them: what one leaves behind (a warm broker, a machine
/// that has just been given time, or not) falls on each of the others in turn.
pub(crate) fn turns<T: Copy>(all: &[T], round: usize) -> impl Iterator<Item = T> + '_ {
    all.iter()
        .copied()
        .cycle()
        .skip(round % all.len().max(1))
        .take(all.len())
}
