//! Tests of the parent.

use super::*;
use crate::message::{Message, Publication, Retry};

const RULE: ShadowRule = ShadowRule { deliveries: 3 };

fn published(body: &str) -> Outcome {
    Outcome::Handled(vec![Publication {
        exchange: String::new(),
        routing_key: "out".to_owned(),
        message: Message {
            body: body.to_owned().into(),
            ..Message::default()
        },
        mandatory: true,
        delay: None,
    }])
}

fn repeated<'a>(current: &'a Outcome, shadow: &'a Outcome) -> Repeated<'a> {
    Repeated {
        consumer: "letters",
        delivery: "o-1",
        current,
        shadow,
        spoilt: None,
    }
}

fn counted(pairs: &[(Outcome, Outcome)]) -> Account {
    let mut account = Account::default();
    for (current, shadow) in pairs {
        count(&mut account, &repeated(current, shadow));
    }
    account
}

/// Says whether the report is due.
fn count(account: &mut Account, repeated: &Repeated<'_>) -> bool {
    let compared = repeated.compared();
    compared.is_some_and(|compared| account.count(RULE, compared))
}

fn places(current: &Outcome, shadow: &Outcome) -> Vec<String> {
    let account = counted(&[(current.clone(), shadow.clone())]);
    let differences = account.differences().iter();
    let places = differences.flat_map(|one| one.places.iter());
    places
        .map(|one| format!("{}: {}", one.place, one.words))
        .collect()
}

#[test]
fn the_report_is_due_once_and_counting_goes_on() {
    let mut account = Account::default();
    let (same, other) = (published("a"), published("b"));
    assert!(!account.is_all_the_same(), "nothing was compared");
    assert!(!count(&mut account, &repeated(&same, &same)));
    assert!(account.is_all_the_same());
    let spoilt = Repeated {
        spoilt: Some("it asks others"),
        ..repeated(&same, &same)
    };
    assert!(!count(&mut account, &spoilt));
    assert!(count(&mut account, &repeated(&same, &other)));
    assert!(!count(&mut account, &repeated(&same, &same)));
    assert!(account.is_done(RULE) && !account.is_all_the_same());
    let counts = (account.compared(), account.same(), account.different());
    assert_eq!(counts, (3, 2, 1));
    assert_eq!(account.reasons(), [("it asks others".to_owned(), 1)]);
    account.leave_out(7);
    assert_eq!(account.left_out(), 7);
}

#[test]
fn what_cannot_be_compared_is_no_failure_and_not_the_same() {
    let account = counted(&[
        (published("a"), Outcome::HostFault("no memory".to_owned())),
        // Nothing was handed to the current version.
        (Outcome::Unmatched("no".to_owned()), published("a")),
    ]);
    assert_eq!((account.compared(), account.not_comparable()), (0, 1));
    assert_eq!(account.shadow(), Answered::default());
    assert!(!account.is_all_the_same());
}

#[test]
fn failures_of_each_version_are_counted() {
    let (well, trap) = (published("a"), Outcome::Trapped("at 0x1".to_owned()));
    let other_trap = Outcome::Trapped("at 0x2".to_owned());
    let account = counted(&[
        (well.clone(), trap.clone()),
        (trap.clone(), other_trap),
        (trap, well),
    ]);
    assert_eq!((account.current().failed, account.shadow().failed), (2, 2));
    // Where a trap is in the code is no difference.
    assert_eq!((account.same(), account.different()), (1, 2));
    let seen = &account.differences()[0];
    assert_eq!(seen.current, "publish 1: to queue \"out\" \"a\"");
    assert_eq!(seen.shadow, "failed (trap): at 0x1");
    let places: Vec<_> = seen.places.iter().map(|one| &*one.words).collect();
    assert_eq!(places, ["current publish, new failed (trap)"]);
}

#[test]
fn json_is_compared_as_values_and_other_bodies_byte_by_byte() {
    let (one, other) = (
        published(r#"{"a":1,"b":2}"#),
        published(r#"{ "b": 2, "a": 1.0 }"#),
    );
    assert!(places(&one, &other).is_empty());
    let more = published(r#"{"a":1,"b":3}"#);
    assert_eq!(
        places(&one, &more),
        ["publications[0].body.b: current 2, new 3"]
    );
    assert_eq!(
        places(&published("first"), &published("second")),
        ["publications[0].body: current \"first\", new \"second\""]
    );
    let large = |end: &str| published(&format!("{}{end}", "x".repeat(100_000)));
    assert_eq!(
        places(&large("a"), &large("bc")),
        [
            "publications[0].body: current 100001 bytes, new 100002 bytes; the first difference is at byte 100000"
        ]
    );
}

#[test]
fn every_part_of_an_answer_counts() {
    let retry = |seconds| {
        Outcome::RetryAsked(Retry {
            reason: "later".to_owned(),
            delay: Some(Duration::from_secs(seconds)),
        })
    };
    assert_eq!(
        places(&retry(1), &retry(2)),
        ["delay-ms: current 1000, new 2000"]
    );
    let failed = |error: &str| Outcome::Failed(error.to_owned());
    assert_eq!(
        places(&failed("no price"), &failed("no tax")),
        ["error: current \"no price\", new \"no tax\""]
    );
    let none = Outcome::Handled(Vec::new());
    assert_eq!(
        places(&none, &published("a")),
        ["answer: current ack, new publish"]
    );
}

#[test]
fn what_is_kept_in_words_is_bounded() {
    let mut account = Account::default();
    for number in 0..100 {
        let current = Outcome::Failed("long ".repeat(10_000));
        let shadow = Outcome::Rejected(format!("{number}"));
        count(&mut account, &repeated(&current, &shadow));
        let reason = format!("reason {number}");
        let spoilt = Repeated {
            spoilt: Some(&reason),
            ..repeated(&current, &current)
        };
        count(&mut account, &spoilt);
    }
    assert_eq!(account.different(), 100);
    assert_eq!(account.differences().len(), MOST_DIFFERENCES);
    let longest = account.differences().iter().map(|one| one.current.len());
    assert!(longest.max() < Some(LONGEST + 8));
    assert_eq!(account.reasons().len(), MOST_REASONS + 1);
    assert_eq!(
        account.reasons().last(),
        Some(&(OTHER_REASONS.to_owned(), 90))
    );
}

#[test]
fn times_are_told_by_their_median() {
    let mut account = Account::default();
    assert_eq!(account.median(), None);
    for millis in [1, 900, 3] {
        account.time(Took {
            current: Duration::from_millis(millis),
            shadow: Duration::from_millis(2 * millis),
        });
    }
    let median = Took {
        current: Duration::from_millis(3),
        shadow: Duration::from_millis(6),
    };
    assert_eq!(account.median(), Some(median));
}
