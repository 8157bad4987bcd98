//! The decisions of the rules for given looks, and properties that hold for any.

use proptest::prelude::*;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn plan(messages_per_instance: Option<u32>, target_wait: Option<Duration>) -> ScalePlan {
    ScalePlan {
        min: 1,
        max: 5,
        messages_per_instance,
        target_wait,
        every: Duration::from_secs(5),
    }
}

fn look(depth: impl Into<Option<u64>>) -> Look {
    Look {
        depth: depth.into(),
        is_paused: false,
        stands_by: false,
        workers: 3,
        busy: 0,
        answered: (0, Duration::ZERO),
    }
}

#[test]
fn a_host_that_stands_by_has_the_least_number() {
    let mut rule = Rule::new(ScalePlan {
        min: 2,
        max: 8,
        messages_per_instance: Some(1),
        target_wait: None,
        every: Duration::from_secs(1),
    });
    let standing_by = Look {
        stands_by: true,
        ..look(1000)
    };
    let decision = rule.decide(&standing_by);
    assert_eq!((decision.wanted, decision.because), (2, Because::StandsBy));
    assert_eq!(rule.decide(&look(1000)).wanted, 8);
}

#[test]
fn s23_one_for_each_ten_messages_within_the_bounds() {
    let mut rule = Rule::new(plan(Some(10), None));
    for (depth, wanted) in [(0, 1), (5, 1), (10, 1), (11, 2), (15, 2), (50, 5), (51, 5)] {
        assert_eq!(rule.decide(&look(depth)).wanted, wanted, "depth {depth}");
    }
    // It follows at once, down as well as up.
    assert_eq!(rule.decide(&look(0)).wanted, 1);
}

#[test]
fn s23_what_cannot_be_known_changes_nothing() {
    for (messages, wait) in [(Some(10), None), (None, Some(MILLISECOND))] {
        let decision = Rule::new(plan(messages, wait)).decide(&look(None));
        assert_eq!(
            (decision.wanted, decision.because),
            (3, Because::DepthUnknown)
        );
    }
}

#[test]
fn a_pause_changes_nothing_and_the_rule_goes_on_after_it() {
    let mut rule = Rule::new(plan(Some(10), None));
    let paused = Look {
        is_paused: true,
        ..look(500)
    };
    let decision = rule.decide(&paused);
    assert_eq!((decision.wanted, decision.because), (3, Because::Paused));
    assert_eq!(rule.decide(&look(500)).wanted, 5);
}

#[test]
fn the_last_message_is_begun_within_the_time_wanted() {
    let mut rule = Rule::new(plan(None, Some(Duration::from_secs(2))));
    // 100 messages of 50 ms are five seconds of work: three workers begin the last one within two.
    let seen = Look {
        answered: (10, Duration::from_millis(500)),
        ..look(100)
    };
    let decision = rule.decide(&seen);
    assert_eq!((decision.wanted, decision.because), (3, Because::Wait));
    assert_eq!(rule.pace(), Some(Duration::from_millis(50)));
}

#[test]
fn before_the_first_answer_nobody_knows_the_pace() {
    let mut rule = Rule::new(plan(None, Some(MILLISECOND)));
    let decision = rule.decide(&look(1000));
    assert_eq!((decision.wanted, decision.because), (3, Because::NoPace));
    // The other rule does without.
    let mut both = Rule::new(plan(Some(500), Some(MILLISECOND)));
    let decision = both.decide(&look(1000));
    assert_eq!((decision.wanted, decision.because), (2, Because::Messages));
}

#[test]
fn those_that_keep_up_stay_and_leave_when_several_looks_agree() {
    let mut rule = Rule::new(plan(None, Some(Duration::from_secs(1))));
    let seen = |depth, busy| Look {
        workers: 5,
        busy,
        answered: (10, Duration::from_secs(1)),
        ..look(depth)
    };
    assert_eq!(rule.decide(&seen(40, 5)).wanted, 5);
    // Nothing waits, since four keep up with what arrives.
    for _ in 0..LOOKS - 1 {
        let decision = rule.decide(&seen(0, 4));
        assert_eq!((decision.wanted, decision.because), (5, Because::Recently));
    }
    for _ in 0..10 {
        assert_eq!(rule.decide(&seen(0, 4)).wanted, 4);
    }
    for _ in 0..LOOKS - 1 {
        assert_eq!(rule.decide(&seen(0, 0)).wanted, 4);
    }
    assert_eq!(rule.decide(&seen(0, 0)).wanted, 1);
}

fn plans() -> impl Strategy<Value = ScalePlan> {
    let rules = (
        prop::option::of(1..=100_u32),
        prop::option::of(1..=10_000_u64),
    );
    let rules = rules.prop_filter("one is there", |(a, b)| a.is_some() || b.is_some());
    (1..=50_u16, 0..=50_u16, rules).prop_map(|(min, more, (messages, wait))| ScalePlan {
        min,
        max: min + more,
        messages_per_instance: messages,
        target_wait: wait.map(Duration::from_millis),
        every: Duration::from_secs(5),
    })
}

fn looks() -> impl Strategy<Value = Look> {
    let depth = prop::option::of(prop_oneof![0..=1000_u64, any::<u64>()]);
    let answered = (0..=1000_u64, 0..=1_000_000_u64);
    (depth, any::<u16>(), any::<u16>(), answered).prop_map(
        |(depth, workers, busy, (messages, micros))| Look {
            depth,
            is_paused: false,
            stands_by: false,
            workers,
            busy,
            answered: (messages, Duration::from_micros(micros)),
        },
    )
}

proptest! {
    #[test]
    fn it_is_always_within_the_bounds(
        plan in plans(),
        looks in prop::collection::vec(looks(), 1..10),
    ) {
        let mut rule = Rule::new(plan.clone());
        for look in looks {
            let wanted = rule.decide(&look).wanted;
            prop_assert!((plan.min..=plan.max).contains(&wanted));
        }
    }

    #[test]
    fn more_that_waits_never_asks_for_fewer(
        plan in plans(),
        before in prop::collection::vec(looks(), 0..5),
        last in looks(),
        depths in prop::array::uniform2(0..=100_000_u64),
    ) {
        let wanted = |depth| {
            let mut rule = Rule::new(plan.clone());
            for look in &before {
                rule.decide(look);
            }
            rule.decide(&Look { depth: Some(depth), ..last }).wanted
        };
        let [one, other] = depths;
        prop_assert!(wanted(one.min(other)) <= wanted(one.max(other)));
    }

    #[test]
    fn what_is_not_known_changes_nothing_within_the_bounds(
        plan in plans(),
        before in prop::collection::vec(looks(), 0..5),
        last in looks(),
    ) {
        let mut rule = Rule::new(plan.clone());
        for look in &before {
            rule.decide(look);
        }
        let decision = rule.decide(&Look { depth: None, ..last });
        prop_assert_eq!(decision.wanted, last.workers.clamp(plan.min, plan.max));
        prop_assert_eq!(decision.asked, None);
    }

    #[test]
    fn messages_per_instance_is_its_quotient_rounded_up(
        plan in plans().prop_filter("that rule alone", |plan| plan.target_wait.is_none()),
        before in prop::collection::vec(looks(), 0..5),
        depth in 0..=100_000_u64,
    ) {
        let mut rule = Rule::new(plan.clone());
        for look in &before {
            rule.decide(look);
        }
        let each = u64::from(plan.messages_per_instance.unwrap());
        let asked = rule.decide(&look(depth)).asked.unwrap();
        prop_assert!(asked * each >= depth && asked.saturating_sub(1) * each < depth.max(1));
    }
}

#[test]
fn bounds_that_are_set_hold_whatever_the_rule_asks_for_and_while_nothing_is_known() {
    let mut rule = Rule::new(plan(Some(10), None));
    assert_eq!(rule.decide(&look(1000)).wanted, 5);
    rule.bound(Bounds { min: 2, max: 3 });
    assert_eq!(rule.decide(&look(1000)).wanted, 3);
    assert_eq!(rule.decide(&look(0)).wanted, 2);
    let unknown = Look {
        workers: 5,
        ..look(None)
    };
    assert_eq!(rule.decide(&unknown).wanted, 3);
    let paused = Look {
        is_paused: true,
        workers: 1,
        ..look(0)
    };
    assert_eq!(rule.decide(&paused).wanted, 2);
    let standing_by = Look {
        stands_by: true,
        ..look(1000)
    };
    assert_eq!(rule.decide(&standing_by).wanted, 2);
}
