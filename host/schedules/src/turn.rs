//! Whose turn it is: what a host does with the tokens that it is given.
//!
//! A queue with a single active consumer gives its messages to one host, in their order. A host fires only while it
//! holds a token that it has published itself over the same channel: it has then been given everything that was in the
//! queue before. Any other token that counts, it publishes again first. So a firing, a take-over and a second token
//! are one case, and no token is handed out so often that the broker drops it.

use crate::Token;

/// A token that was handed out, and what acknowledges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<T> {
    /// The token.
    pub token: Token,
    /// By which the broker knows it on this channel.
    pub tag: T,
}

/// What a host does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// It is not this host's turn, or not known yet to be.
    Wait,
    /// This token counts, and is another host's or that of another channel: it is to be published again.
    TakeOver(Token),
    /// This token counts, and is this host's. The others are to be acknowledged.
    Hold(Token, Vec<T>),
}

/// The tokens of one channel.
#[derive(Debug, Clone)]
pub struct Turn<T> {
    held: Vec<Held<T>>,
    /// Of those, the ones that this host has published again: their copies count in their place, whatever they say.
    copied: Vec<T>,
    /// The id of the token that this host has published last.
    own: Option<String>,
    /// Whether that was while it was this host's turn, so that it comes here.
    comes_here: bool,
}

impl<T> Default for Turn<T> {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            copied: Vec::new(),
            own: None,
            comes_here: false,
        }
    }
}

impl<T: Copy + PartialEq> Turn<T> {
    /// The broker has handed out a token.
    pub fn given(&mut self, token: Token, tag: T) {
        self.held.push(Held { token, tag });
    }

    /// This host publishes a token of this id.
    pub fn published(&mut self, id: &str) {
        self.own = Some(id.to_owned());
        // Another host may have been given it otherwise, and have acknowledged it.
        self.comes_here = self.is_active();
    }

    /// Whether the broker hands out to this host.
    pub fn is_active(&self) -> bool {
        !self.held.is_empty()
    }

    /// What to do. Where tokens are to be acknowledged, they are held no longer.
    pub fn step(&mut self) -> Step<T> {
        if !self.is_active() {
            return Step::Wait;
        }
        let own = self.own.as_deref();
        let is_own = |held: &Held<T>| own == Some(held.token.id.as_str());
        // Others may be on their way before it.
        if self.comes_here && !self.held.iter().any(is_own) {
            return Step::Wait;
        }
        let counts = self.held.iter().enumerate();
        let counts = counts.filter(|(_, held)| !self.copied.contains(&held.tag));
        // Of two that are worth the same, this host's.
        let best = counts.max_by(|(_, one), (_, other)| {
            let by_worth = one.token.worth(&other.token);
            by_worth.then(is_own(one).cmp(&is_own(other)))
        });
        let Some((index, best)) = best else {
            return Step::Wait;
        };
        if !is_own(best) {
            self.copied.push(best.tag);
            return Step::TakeOver(best.token.clone());
        }
        self.copied.clear();
        let best = self.held.swap_remove(index);
        let others = std::mem::take(&mut self.held);
        let token = best.token.clone();
        self.held.push(best);
        Step::Hold(token, others.into_iter().map(|held| held.tag).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Moment, Times};

    fn times() -> Times {
        Times::read("* * * * * *", "UTC").unwrap()
    }

    fn token(id: &str, last: i64, fired: bool) -> Token {
        let mut token = Token::beginning(id.to_owned(), &times(), Moment::from_millis(last));
        token.fired = fired;
        token
    }

    #[test]
    fn without_a_token_it_is_another_hosts_turn() {
        let mut turn = Turn::<u64>::default();
        turn.published("mine");
        assert_eq!(turn.step(), Step::Wait);
        assert!(!turn.is_active());
    }

    #[test]
    fn the_first_host_of_all_begins_with_its_own() {
        let mut turn = Turn::default();
        turn.published("mine");
        turn.given(token("mine", 5, false), 1);
        assert_eq!(turn.step(), Step::Hold(token("mine", 5, false), vec![]));
        assert!(turn.is_active());
    }

    #[test]
    fn two_hosts_that_begin_at_once_keep_one_token() {
        let mut turn = Turn::default();
        turn.published("mine");
        turn.given(token("mine", 5, false), 1);
        turn.given(token("theirs", 6, false), 2);
        assert_eq!(turn.step(), Step::Hold(token("mine", 5, false), vec![2]));
        // The other way round, the earlier beginning counts, and is taken over.
        let mut turn = Turn::default();
        turn.published("mine");
        turn.given(token("theirs", 4, false), 1);
        assert_eq!(turn.step(), Step::TakeOver(token("theirs", 4, false)));
        turn.published("copy");
        assert_eq!(turn.step(), Step::Wait);
        turn.given(token("mine", 5, false), 2);
        assert_eq!(turn.step(), Step::Wait, "its copy is on its way");
        turn.given(token("copy", 4, false), 3);
        let Step::Hold(held, mut others) = turn.step() else {
            panic!("it holds its copy");
        };
        others.sort_unstable();
        assert_eq!((held, others), (token("copy", 4, false), vec![1, 2]));
    }

    #[test]
    fn a_token_of_a_host_that_died_is_taken_over() {
        let mut turn = Turn::default();
        turn.published("beginning");
        // That one was acknowledged by the host that held the token then.
        turn.given(token("theirs", 9_000, true), 1);
        assert_eq!(turn.step(), Step::TakeOver(token("theirs", 9_000, true)));
        turn.published("copy");
        assert_eq!(turn.step(), Step::Wait);
        turn.given(token("copy", 9_000, true), 2);
        assert_eq!(turn.step(), Step::Hold(token("copy", 9_000, true), vec![1]));
    }

    #[test]
    fn of_two_firings_the_later_counts_whatever_the_order() {
        for order in [[9_000, 8_000], [8_000, 9_000]] {
            let mut turn = Turn::default();
            turn.given(token("one", order[0], true), 1);
            turn.given(token("two", order[1], true), 2);
            let Step::TakeOver(counts) = turn.step() else {
                panic!("neither is its own");
            };
            assert_eq!(counts.last().millis(), 9_000);
        }
    }

    #[test]
    fn a_firing_that_was_behind_a_beginning_is_not_lost() {
        let mut turn = Turn::default();
        turn.published("mine");
        turn.given(token("theirs", 9_500, false), 1);
        assert!(matches!(turn.step(), Step::TakeOver(_)));
        turn.published("copy");
        turn.given(token("fired", 9_000, true), 2);
        assert_eq!(turn.step(), Step::Wait);
        turn.given(token("copy", 9_500, false), 3);
        assert_eq!(turn.step(), Step::TakeOver(token("fired", 9_000, true)));
    }

    #[test]
    fn a_copy_counts_in_the_place_of_what_it_was_made_of() {
        let mut turn = Turn::default();
        turn.published("mine");
        turn.given(token("theirs", 1, false), 1);
        assert!(matches!(turn.step(), Step::TakeOver(_)));
        // With other times, the copy says later than the beginning, which would count more.
        turn.published("copy");
        turn.given(token("copy", 9, false), 2);
        assert_eq!(turn.step(), Step::Hold(token("copy", 9, false), vec![1]));
    }

    #[test]
    fn after_a_firing_it_waits_for_its_new_token() {
        let mut turn = Turn::default();
        turn.published("a");
        turn.given(token("a", 1, true), 1);
        assert!(matches!(turn.step(), Step::Hold(_, none) if none.is_empty()));
        turn.published("b");
        assert_eq!(turn.step(), Step::Wait);
        turn.given(token("b", 2, true), 2);
        assert_eq!(turn.step(), Step::Hold(token("b", 2, true), vec![1]));
        // What begins meanwhile is acknowledged.
        turn.given(token("theirs", 0, false), 3);
        assert_eq!(turn.step(), Step::Hold(token("b", 2, true), vec![3]));
        assert_eq!(turn.step(), Step::Hold(token("b", 2, true), vec![]));
    }
}
