//! Finds what a misspelt word was meant to be.

/// Words less alike than this are taken for different ones.
const ALIKE: f64 = 0.75;

/// The candidate most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Whether one is the other with a slip of the keys: one or two letters apart. Names that are
/// numbered differ by their numbers on purpose.
pub fn a_slip_apart(one: &str, other: &str) -> bool {
    let (one_length, other_length) = (one.chars().count(), other.chars().count());
    // Compared first, since comparing letters is slow and there may be hundreds of names.
    if one_length.min(other_length) < 5 || one_length.abs_diff(other_length) > 2 {
        return false;
    }
    let letters = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    if letters(one) == letters(other) {
        return false;
    }
    (1..=2).contains(&strsim::damerau_levenshtein(one, other))
}

/// So many names are listed; who has more knows where to look.
const LISTED: usize = 20;

/// As in "did you mean `orders`?", or the list to choose from.
pub fn advice<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if candidates.len() > LISTED => {
            let listed = candidates[..LISTED].join(", ");
            format!("{what}: {listed} and {} more", candidates.len() - LISTED)
        }
        None => format!("{what}: {}", candidates.join(", ")),
    }
}
