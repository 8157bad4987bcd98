//! The decision about a message that may have ended the host; pure.
//!
//! Two facts are known. The broker counts how often the message was returned, and includes stops, pauses and
//! lost connections: that makes it a suspect, and no more. The deaths that the host itself recorded are
//! evidence, and only they dead-letter a message.

use hive_amqp::CameBack;

/// After this many deaths with the message in flight it is tried alone. One may be chance: with
/// `prefetch = 256` a death returns 255 innocent messages.
pub(super) const DEATHS_AMONG_OTHERS: u32 = 2;

/// After this many deaths while it was tried alone the message is dead-lettered. One more than
/// [`DEATHS_AMONG_OTHERS`]: a killer on another consumer ends the host that often before it is tried
/// alone itself, and a message that is on trial at those moments is innocent of them.
pub(super) const DEATHS_ALONE: u32 = DEATHS_AMONG_OTHERS + 1;

/// The deaths of a host that a message was in flight at, as the store has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Deaths {
    /// While it was tried alone.
    pub(super) alone: u32,
    /// While others were handled beside it.
    pub(super) among_others: u32,
}

impl Deaths {
    /// Counts one more death.
    pub(super) fn and_one(self, was_alone: bool) -> Self {
        let Self {
            alone,
            among_others,
        } = self;
        match was_alone {
            true => Self {
                alone: alone.saturating_add(1),
                among_others,
            },
            false => Self {
                alone,
                among_others: among_others.saturating_add(1),
            },
        }
    }
}

/// The treatment of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Handle it beside others, with a marker in the store for as long as that lasts.
    Marked,
    /// Handle it while nothing else is handled for its consumer, with a marker too.
    Alone,
    /// Dead-letter it.
    Crash,
}

/// Whether the store is asked about a delivery at all. Most are not, and cost nothing.
pub(super) fn is_suspect(came_back: CameBack) -> bool {
    match came_back {
        CameBack::Never => false,
        CameBack::Counted(times) => times >= DEATHS_AMONG_OTHERS,
        CameBack::Uncounted => true,
    }
}

/// The treatment of a suspect. `forgets`: the store does not outlive the host, so `deaths` are always zero.
pub(super) fn treatment(came_back: CameBack, deaths: Deaths, forgets: bool) -> Treatment {
    // If the broker does not count returns, the first death of a message left no marker.
    let among_others = match came_back {
        CameBack::Uncounted => deaths.among_others.saturating_add(1),
        CameBack::Never | CameBack::Counted(_) => DEATHS_AMONG_OTHERS,
    };
    if deaths.alone >= DEATHS_ALONE {
        Treatment::Crash
    } else if forgets || deaths.alone > 0 || among_others >= DEATHS_AMONG_OTHERS {
        Treatment::Alone
    } else {
        Treatment::Marked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deaths(among_others: u32, alone: u32) -> Deaths {
        Deaths {
            alone,
            among_others,
        }
    }

    /// How often a host dies of a message before it is dead-lettered, on a queue that counts or not.
    fn deaths_of_a_killer(is_counted: bool) -> u32 {
        let mut recorded = Deaths::default();
        for died in 1..100 {
            let came_back = match is_counted {
                true => CameBack::Counted(died),
                false => CameBack::Uncounted,
            };
            if !is_suspect(came_back) {
                continue;
            }
            recorded = match treatment(came_back, recorded, false) {
                Treatment::Crash => return died,
                Treatment::Alone => recorded.and_one(true),
                Treatment::Marked => recorded.and_one(false),
            };
        }
        panic!("it is never dead-lettered");
    }

    #[test]
    fn a_killer_is_dead_lettered_after_five_deaths_whoever_counts_them() {
        assert_eq!(deaths_of_a_killer(true), DEATHS_AMONG_OTHERS + DEATHS_ALONE);
        assert_eq!(
            deaths_of_a_killer(false),
            DEATHS_AMONG_OTHERS + DEATHS_ALONE
        );
    }

    #[test]
    fn the_first_delivery_and_the_first_return_that_is_counted_ask_no_store() {
        assert!(!is_suspect(CameBack::Never));
        assert!(!is_suspect(CameBack::Counted(1)));
        assert!(is_suspect(CameBack::Counted(2)));
        assert!(is_suspect(CameBack::Uncounted));
    }

    #[test]
    fn a_host_that_forgets_tries_alone_whatever_came_back() {
        let none = Deaths::default();
        let treated = treatment(CameBack::Uncounted, none, true);
        assert_eq!(treated, Treatment::Alone);
    }

    #[test]
    fn an_innocent_on_trial_outlives_a_killer_that_is_not_suspected_yet() {
        let hit =
            (0..DEATHS_AMONG_OTHERS).fold(Deaths::default(), |deaths, _| deaths.and_one(true));
        let treated = treatment(CameBack::Counted(9), hit, false);
        assert_eq!(treated, Treatment::Alone);
    }

    proptest! {
        #[test]
        fn no_count_of_the_brokers_dead_letters_anything(
            times in any::<u32>(), among_others in any::<u32>(), alone in 0..DEATHS_ALONE,
            forgets in any::<bool>(),
        ) {
            for came_back in [CameBack::Counted(times), CameBack::Uncounted] {
                let treated = treatment(came_back, deaths(among_others, alone), forgets);
                prop_assert_ne!(treated, Treatment::Crash);
            }
        }
    }
}
