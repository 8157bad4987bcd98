//! What must hold for every fact.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use super::*;

#[test]
fn a_name_has_two_parts_and_one_use() {
    // Log collectors look for this one under the name that it has everywhere.
    for row in Fact::ROWS.iter().filter(|row| row.event != "audit") {
        let parts: Vec<_> = row.event.split('.').collect();
        let is_plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        };
        assert!(
            parts.len() == 2 && parts.iter().all(is_plain),
            "{}",
            row.event
        );
        for (field, in_sentence) in row.fields {
            assert_eq!(
                IN_SENTENCE.contains(field),
                *in_sentence,
                "{} of {}",
                field,
                row.event
            );
        }
    }
}

/// Facts of one name are told apart by a field, or are the same to whoever looks for the name.
#[test]
fn facts_of_one_name_differ_in_one_constant() {
    let mut constants = BTreeMap::<_, Vec<_>>::new();
    for row in Fact::ROWS {
        constants.entry(row.event).or_default().push(row.constant);
    }
    for (event, constants) in constants {
        let names: Vec<_> = constants
            .iter()
            .map(|one| one.map(|(name, _)| name))
            .collect();
        assert!(
            names.windows(2).all(|two| two[0] == two[1]),
            "{event}: {names:?}"
        );
    }
}

#[test]
fn an_observer_gets_a_fact_with_its_fields_whatever_the_log_shows() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Observer for Seen {
        fn observe(&self, fact: &Fact<'_>) {
            let mut seen = format!("{} {} {fact}", fact.level(), fact.event());
            fact.fields(&mut |name, value| seen.push_str(&format!(" {name}={value}")));
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(seen);
        }
    }
    let seen = Arc::new(Seen::default());
    observe(seen.clone());
    Fact::CapabilityDenied {
        component: "c-observed",
        capability: crate::words::Capability::Http,
        code: "HIVE-0411",
        unlogged: None,
        request: &"a request",
        why: &"no",
    }
    .emit();
    let all = seen.0.lock().unwrap();
    // Other tests of this process report facts too.
    let own: Vec<_> = all
        .iter()
        .filter(|fact| fact.contains("c-observed"))
        .collect();
    assert_eq!(
        own,
        [
            "WARN component.denied denied a request: no component=c-observed code=HIVE-0411 capability=http"
        ]
    );
}

#[test]
fn the_page_on_operations_has_every_event() {
    let mut table = "| event | level | fields | |\n|---|---|---|---|\n".to_owned();
    for row in Fact::ROWS {
        let constant = row
            .constant
            .map(|(name, value)| format!("{name} = `{value}`"));
        let fields = row.fields.iter().map(|(name, _)| (*name).to_owned());
        let fields: Vec<_> = constant.into_iter().chain(fields).collect();
        let (event, level, meaning) = (row.event, row.level, row.meaning.trim());
        let fields = fields.join(", ");
        table.push_str(&format!("| `{event}` | {level} | {fields} | {meaning} |\n"));
    }
    crate::docs::assert_table("events", &table);
}

#[test]
fn a_thread_with_an_observer_of_its_own_has_its_facts_for_itself() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Observer for Count {
        fn observe(&self, fact: &Fact<'_>) {
            if matches!(fact, Fact::LogLinesDropped { lines: 4242 }) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let (all, own) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let emit = || Fact::LogLinesDropped { lines: 4242 }.emit();
    observe(all.clone());
    let here = observe_here(own.clone());
    emit();
    drop(here);
    emit();
    let counts = [&all, &own].map(|count| count.0.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 1]);
}
