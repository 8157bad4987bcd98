//! Which tests run on which broker, and what docs/brokers.md says of that.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hive_tests::house::Scenarios;
use hive_tests::matrix::{Matrix, Results, written_page};
use hive_tests::{Broker, Version, workspace};

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

#[test]
fn what_runs_on_the_newest_broker_only_is_a_list_of_modules() -> Result<()> {
    let list = std::fs::read_to_string(workspace().join("tests/newest-broker-only.txt"))?;
    let scenarios = Scenarios::read()?;
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    for listed in lines.filter_map(|line| line.split_whitespace().next()) {
        let modules = scenarios.modules();
        let meant = modules.into_iter().filter(|module| {
            let subject = module.split("::").next();
            *module == listed || subject == Some(listed)
        });
        let meant: BTreeSet<&str> = meant.collect();
        ensure!(!meant.is_empty(), "there is no module `{listed}`");
        // The list is given to the test runner as texts to skip.
        let skipped = scenarios.skipped_by(listed);
        ensure!(
            skipped == meant,
            "`{listed}` would skip {skipped:?}, and means {meant:?}"
        );
    }
    Ok(())
}
