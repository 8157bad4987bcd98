//! Finds what a misspelt word was meant to be.

/// Words less alike than this are taken for different ones.
const ALIKE: f64 = 0.75;

/// The candidate most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Whether one is the other with a slip of the keys: one or two letters apart.
pub(crate) fn a_slip_apart(one: &str, other: &str) -> bool {
    let letters = one.chars().count().min(other.chars().count());
    let apart = strsim::damerau_levenshtein(one, other);
    letters >= 5 && (1..=2).contains(&apart)
}

/// As in "did you mean `orders`?", or the list to choose from.
pub(crate) fn advice<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("{what}: {}", candidates.join(", ")),
    }
}
