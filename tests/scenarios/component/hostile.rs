//! Components that attack their host are contained: each delivery gets its outcome, the host's memory
//! stays bounded, and a neighbour is served all the while.
//!
//! How much longer the neighbour takes is printed and not compared: on two cores, with a broker and
//! other tests on them, a p99 of a few hundred round trips swings by more than the factor in question
//! with nothing hostile around. `scripts/hostile` measures it with the machine to itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::hostile::{self, Hostile, Report};
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually, guest, threads_named};

/// What a host may grow by beyond the memory of one instance: an answer, stacks, the log, and what the
/// allocator keeps.
const SLACK_MIB: u64 = 64;
const TRIPS: usize = 100;

async fn contained(name: &str) -> Result<Report> {
    let hostile = hostile::ALL.iter().find(|hostile| hostile.name == name);
    let hostile = hostile.with_context(|| format!("there is none that {name:?}"))?;
    let report = hostile.run(TRIPS).await?;
    print(hostile, &report);
    for dead in &report.dead {
        let told = dead.text_of("x-hive-error").unwrap_or_default();
        assert_eq!(
            dead.text_of("x-hive-reason").as_deref(),
            Some(hostile.reason),
            "{told}"
        );
        assert!(told.contains(hostile.error), "{told}");
    }
    let grown_mib = report.peak_kib.saturating_sub(report.before_kib) / 1024;
    let most_mib = hostile.memory_mib + SLACK_MIB;
    assert!(
        grown_mib <= most_mib,
        "the host grew by {grown_mib} MiB, more than {most_mib}"
    );
    Ok(report)
}

#[expect(
    clippy::print_stdout,
    reason = "the numbers are for whoever reads the test's output"
)]
fn print(hostile: &Hostile, report: &Report) {
    println!(
        "{}: p99 of the neighbour {:?} alone, {:?} beside it ({} round trips); peak of the host {} KiB",
        hostile.name, report.alone, report.beside, report.trips, report.peak_kib
    );
}

macro_rules! contained {
    ($($test:ident: $name:literal,)*) => {
        $(#[tokio::test]
        async fn $test() -> Result<()> {
            contained($name).await?;
            Ok(())
        })*

        /// So that none is forgotten here.
        #[test]
        fn each_has_its_test() {
            let mut tested = vec![$($name),*];
            tested.extend(APART);
            tested.sort_unstable();
            let mut all: Vec<_> = hostile::ALL.iter().map(|hostile| hostile.name).collect();
            all.sort_unstable();
            assert_eq!(tested, all);
        }
    };
}

/// Those with more to see.
const APART: [&str; 3] = ["floods stdout", "traps in stop", "spins in stop"];

contained! {
    spinning: "spins",
    never_returning_from_a_host_call: "never returns from a host call",
    hoarding_memory: "hoards memory",
    growing_tables: "grows tables",
    overflowing_the_stack: "overflows the stack",
    answering_with_gigabytes: "answers with gigabytes",
    answering_with_a_million_publications: "answers with a million publications",
    answering_with_one_publication_too_many: "answers with one publication too many",
    trying_files_sockets_and_the_environment: "tries files, sockets and the environment",
}

#[tokio::test]
async fn flooding_stdout_is_counted_and_not_kept() -> Result<()> {
    let report = contained("floods stdout").await?;
    let host = &report.host;
    let line = host.wait_for_event("component.lines_left_out", &[]).await?;
    assert_eq!(line.field("limit").as_deref(), Some("100"), "{line}");
    let dropped = host
        .metric("hive_guest_lines_dropped_total{component=\"bad\"}")
        .await?;
    let told = host.count_printed("flood ");
    // At most 100 in each second of the flood, which took ten calls of 200 ms.
    ensure!(
        dropped > 10_000.0,
        "{dropped} lines were left out, {told} told"
    );
    ensure!(
        (told as f64) < dropped / 10.0,
        "{told} lines were told, {dropped} left out"
    );
    Ok(())
}

#[tokio::test]
async fn trapping_in_stop_harms_nobody_and_is_told() -> Result<()> {
    let report = contained("traps in stop").await?;
    let line = report
        .host
        .wait_for_event("component.stop_failed", &[])
        .await?;
    assert!(line.names("boom in stop"), "{line}");
    Ok(())
}

#[tokio::test]
async fn spinning_in_stop_is_cut_off_and_told() -> Result<()> {
    let report = contained("spins in stop").await?;
    let line = report
        .host
        .wait_for_event("component.stop_failed", &[])
        .await?;
    assert!(line.names("TimedOut"), "{line}");
    Ok(())
}

/// A host whose component does that in `start` is not started, and says why.
async fn assert_refused_at_start(what: &str, timeout: &str, told: &str) -> Result<()> {
    let vhost = Broker::shared().await?.vhost("hostile").await?;
    let keys = format!("timeout = \"{timeout}\"\nconfig = {{ start = \"{what}\" }}");
    let toml = HiveToml::new()
        .queue("bad", "")
        .component_at("bad", &guest("bad-start"), &keys)
        .consumer("bad", "bad", "");
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    host.wait_for_output("does not start").await?;
    // What it says of a panic takes several lines.
    host.wait_for_output(told).await?;
    assert!(!host.wait().await?.success());
    Ok(())
}

#[tokio::test]
async fn hoarding_memory_in_start_is_refused() -> Result<()> {
    // Long, since taking memory is slow on a machine with other things to do.
    assert_refused_at_start("hoard", "20s", "`memory`").await
}

#[tokio::test]
async fn trapping_in_start_is_refused() -> Result<()> {
    assert_refused_at_start("trap", "20s", "boom in start").await
}

#[tokio::test]
async fn spinning_in_start_is_refused() -> Result<()> {
    assert_refused_at_start("spin", "500ms", "TimedOut").await
}

/// The threads that serve others are left to them.
#[tokio::test]
async fn what_computes_for_long_goes_on_on_threads_of_a_lower_priority() -> Result<()> {
    let toml = HiveToml::new()
        .queue("bad", "")
        .component("spin", "timeout = \"2m\"")
        .consumer("bad", "spin", "retry = \"none\"");
    let vhost = Broker::shared().await?.vhost("aside").await?;
    let host = HostProcess::run(&vhost, &toml.host("shutdown_timeout = \"0s\"")).await?;
    let aside = async || threads_named(host.id(), "hive-aside");
    let (before, _) = aside().await?;
    vhost.publish("", "bad", Message::new("")).await?;
    let (_, niceness) = eventually("it computes there", aside, |(time, _)| {
        *time >= before + Duration::from_millis(100)
    })
    .await?;
    assert!(niceness.iter().all(|nice| *nice >= 5), "{niceness:?}");
    Ok(())
}
