//! Which tests run on which broker, and what docs/brokers.md says of that.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hive_tests::house::{Listed, Scenarios, listed};
use hive_tests::matrix::{
    Counts, IN_PROCESS_ONLY, Matrix, NEEDS_RABBITMQ, NEWEST_AND_IN_PROCESS, NEWEST_ONLY,
    NIGHTLY_ONLY, Results, written_page,
};
use hive_tests::{Broker, Version};

/// The lists of scenarios that a run leaves out.
const LISTS: [&str; 5] = [
    IN_PROCESS_ONLY,
    NEWEST_ONLY,
    NEWEST_AND_IN_PROCESS,
    NEEDS_RABBITMQ,
    NIGHTLY_ONLY,
];

/// Each in the version that was asked for, side by side from their roots.
#[tokio::test]
async fn brokers_of_all_versions_run_side_by_side() -> Result<()> {
    let [one, other, newest] = Version::ALL.map(Broker::private_of);
    let (one, other, newest) = tokio::try_join!(one, other, newest)?;
    for broker in [one, other, newest] {
        let version = broker.version();
        let overview = broker.management().get("/overview")?;
        let found = overview["rabbitmq_version"].as_str().unwrap_or_default();
        ensure!(
            found.starts_with(&format!("{version}.")),
            "it was to be {version} and is {found}"
        );
        let told = broker.rabbitmqctl(&["eval", "rabbit_misc:version()."])?;
        ensure!(told.contains(found), "rabbitmqctl asked another: {told}");
    }
    Ok(())
}

#[test]
fn the_scenarios_that_the_matrix_names_exist() -> Result<()> {
    let scenarios = Scenarios::read()?;
    for test in Matrix::read()?.tests() {
        ensure!(scenarios.has(test), "there is no scenario `{test}`");
    }
    Ok(())
}

#[test]
fn the_page_about_brokers_is_the_one_that_the_script_writes() -> Result<()> {
    let page = Matrix::read()?.page(&Results::read()?);
    ensure!(
        page == written_page()?,
        "docs/brokers.md is out of date: run scripts/broker-matrix"
    );
    Ok(())
}

#[test]
fn each_promise_was_seen_to_hold_on_each_broker() -> Result<()> {
    let gaps = Matrix::read()?.gaps(&Results::read()?);
    ensure!(
        gaps.is_empty(),
        "not shown by a recorded run (scripts/broker-matrix): {gaps:#?}"
    );
    Ok(())
}

/// As the scripts skip them: each line names a subject, a module or a scenario that exists, and no other is skipped.
#[test]
fn the_lists_of_what_a_broker_does_not_run_name_what_exists() -> Result<()> {
    let scenarios = Scenarios::read()?;
    for list in LISTS {
        for Listed { name, reason } in listed(list)? {
            let meant = scenarios.meant_by(&name);
            ensure!(!meant.is_empty(), "{list}: there is no `{name}`");
            // The list is given to the test runner as texts to skip.
            let skipped = scenarios.skipped_by(&name);
            ensure!(
                skipped == meant,
                "{list}: `{name}` would skip {skipped:?}, and means {meant:?}"
            );
            ensure!(!reason.is_empty(), "{list}: `{name}` has no reason");
        }
    }
    Ok(())
}

/// So that each scenario that the gate runs is left on one broker at least: of those that one list leaves out, the others
/// leave out none.
#[test]
fn what_a_broker_does_not_run_is_listed_once() -> Result<()> {
    let scenarios = Scenarios::read()?;
    let mut seen = BTreeSet::new();
    for list in LISTS {
        for Listed { name, .. } in listed(list)? {
            for scenario in scenarios.meant_by(&name) {
                ensure!(!seen.contains(&scenario), "`{scenario}` is listed twice");
                seen.insert(scenario);
            }
        }
    }
    Ok(())
}

#[test]
fn no_promise_about_rabbitmq_is_left_out_on_one() -> Result<()> {
    let matrix = Matrix::read()?;
    let promised = matrix.tests();
    let scenarios = Scenarios::read()?;
    for list in [IN_PROCESS_ONLY, NEWEST_ONLY, NEWEST_AND_IN_PROCESS] {
        for Listed { name, .. } in listed(list)? {
            for scenario in scenarios.meant_by(&name) {
                ensure!(
                    !promised.contains(scenario.as_str()),
                    "{list}: `{name}` leaves out `{scenario}`, which docs/brokers.md names"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_counts_of_scenarios_are_those_of_the_recorded_runs() -> Result<()> {
    let page = Counts::read()?.page()?;
    ensure!(
        page == Counts::written_page()?,
        "docs/broker.md is out of date: run scripts/broker-matrix"
    );
    Ok(())
}
