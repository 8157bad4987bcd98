//! What a test file has others answer: which answer is whose, and an account of what was asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::compare::{Differences, differs};

/// An answer that a case has ready.
pub(super) trait Ready: Clone {
    /// The key of the case that has such answers.
    const KEY: &'static str;

    /// How often it is to be given; `None` for once or more.
    fn times(&self) -> Option<u64>;

    /// Which requests it is for, as it follows on "a request".
    fn wanted(&self) -> String;

    /// What became of a request that none is for, in words.
    fn lacked(asked: &str) -> String;
}

/// The answers of a case.
pub(super) struct Answers<A> {
    ready: Vec<A>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often each answer was given.
    given: Vec<u64>,
    unanswered: Vec<String>,
}

impl<A: Ready> Answers<A> {
    pub(super) fn new(ready: &[A]) -> Self {
        Self {
            seen: Mutex::new(Seen {
                given: vec![0; ready.len()],
                unanswered: Vec::new(),
            }),
            ready: ready.to_vec(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first that fits and may be given once more. Where there is none, `asked` is noted.
    pub(super) fn give(
        &self,
        fits: impl Fn(&A) -> bool,
        asked: impl FnOnce() -> String,
    ) -> Option<&A> {
        let mut seen = self.seen();
        let mut answers = self.ready.iter().zip(&mut seen.given);
        let fitting = answers.find(|(answer, given)| {
            answer.times().is_none_or(|times| **given < times) && fits(answer)
        });
        if let Some((answer, given)) = fitting {
            *given += 1;
            return Some(answer);
        }
        seen.unanswered.push(asked());
        None
    }

    /// Requests without an answer, and answers that were asked for too seldom.
    pub(super) fn differences(&self) -> Differences {
        let seen = self.seen();
        let mut found = Differences::new();
        for asked in &seen.unanswered {
            found.push(differs(A::KEY, A::lacked(asked)));
        }
        for (index, (answer, given)) in self.ready.iter().zip(&seen.given).enumerate() {
            let words = match answer.times() {
                Some(times) if times != *given => {
                    format!("expected {times} requests {}, got {given}", answer.wanted())
                }
                None if *given == 0 => format!("expected a request {}, got none", answer.wanted()),
                _ => continue,
            };
            found.push(differs(&format!("{}[{index}]", A::KEY), words));
        }
        found
    }
}
