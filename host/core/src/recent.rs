//! What was noted of many things, for the latest of them: [`Recent`]. Pure.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map with a bound. A note beyond it removes the oldest one.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    notes: HashMap<K, Note<V>>,
    /// The keys in the order of their notes. A note that was taken or replaced may still be listed.
    noted: VecDeque<(K, u64)>,
    last: u64,
}

#[derive(Debug)]
struct Note<V> {
    number: u64,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// An empty one that holds `most` notes.
    pub fn of(most: usize) -> Self {
        Self {
            most,
            notes: HashMap::new(),
            noted: VecDeque::new(),
            last: 0,
        }
    }

    /// Whether there are no notes, so that nobody needs to compute a key.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Notes `value` in the place of what was noted for this key before.
    pub fn note(&mut self, key: K, value: V) {
        self.last += 1;
        let number = self.last;
        self.noted.push_back((key.clone(), number));
        self.notes.insert(key, Note { number, value });
        while self.noted.len() > self.most {
            let Some((oldest, number)) = self.noted.pop_front() else {
                break;
            };
            let is_the_latest = |note: &Note<V>| note.number == number;
            if self.notes.get(&oldest).is_some_and(is_the_latest) {
                self.notes.remove(&oldest);
            }
        }
    }

    /// Whether there is a note for this key.
    pub fn has<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.notes.contains_key(key)
    }

    /// Removes the note for this key, and returns it.
    pub fn take<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let note = self.notes.remove(key)?;
        if self.notes.is_empty() {
            self.noted.clear();
        }
        Some(note.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4;

    #[test]
    fn a_note_is_there_until_it_is_taken_and_the_last_one_counts() {
        let mut recent = Recent::of(MOST);
        assert!(recent.is_empty());
        recent.note("a", 1);
        recent.note("a", 2);
        assert!(recent.has("a"));
        assert_eq!(recent.take("b"), None);
        assert_eq!(recent.take("a"), Some(2));
        assert_eq!(recent.take("a"), None);
        assert!(recent.is_empty());
    }

    #[test]
    fn the_oldest_note_is_forgotten_first() {
        let mut recent = Recent::of(MOST);
        for number in 0..=MOST {
            recent.note(number, ());
        }
        assert!(!recent.has(&0));
        assert!((1..=MOST).all(|number| recent.has(&number)));
        assert!(recent.noted.len() <= MOST);
    }

    #[test]
    fn a_note_that_was_made_again_is_as_young_as_its_last_one() {
        let mut recent = Recent::of(MOST);
        recent.note(0, ());
        recent.note(1, ());
        recent.take(&0);
        recent.note(0, ());
        recent.note(2, ());
        // The first note of 0 goes here, and not the one that was made since.
        recent.note(3, ());
        assert!(recent.has(&0));
    }
}
