//! Clocks that are turned: what was missed while no host was there, and a clock that goes back.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, TurnedClock, scratch};

use super::{into_queue, planned};

const RULES: [&str; 3] = ["once", "skip", "all"];

fn hourly() -> HiveToml {
    RULES.iter().fold(HiveToml::new(), |toml, rule| {
        let keys = into_queue(rule, "0 * * * *", &format!("missed = \"{rule}\""));
        toml.queue(rule, "")
            .section(&format!("schedules.{rule}"), &keys)
    })
}

async fn active(host: &HostProcess) -> Result<()> {
    for schedule in RULES {
        host.wait_for_event("schedule.active", &[("schedule", schedule)])
            .await?;
    }
    Ok(())
}

fn hours(hours: &[u32]) -> Vec<String> {
    let hours = hours.iter();
    hours
        .map(|hour| format!("2026-01-01T{hour:02}:00:00Z"))
        .collect()
}

#[tokio::test]
async fn what_was_missed_is_as_the_rule_says_and_a_clock_that_goes_back_fires_nothing_again()
-> Result<()> {
    let vhost = Broker::shared().await?.vhost("missed").await?;
    let mut clock = TurnedClock::at("2026-01-01T02:30:00Z")?;
    let file = scratch("missed").join("hive.toml");
    std::fs::write(&file, hourly().text(&vhost))?;
    let launch = |clock: &TurnedClock| HostProcess::launch_file(&file, &clock.variables());
    let mut host = launch(&clock)?;
    active(&host).await?;
    host.stop().await?;
    clock.set("2026-01-01T06:30:00Z")?;
    let mut host = launch(&clock)?;
    active(&host).await?;
    let left_out = |schedule| {
        [
            ("schedule", schedule),
            ("firings", if schedule == "once" { "3" } else { "4" }),
        ]
    };
    for schedule in ["once", "skip"] {
        host.wait_for_event("schedule.left_out", &left_out(schedule))
            .await?;
    }
    let expect = async |rule: &str, wanted: &[u32]| -> Result<()> {
        let taken = vhost.take(rule, wanted.len()).await?;
        let taken: Vec<_> = planned(rule, &taken).into_iter().collect();
        assert_eq!(taken, hours(wanted), "{rule}");
        Ok(())
    };
    expect("all", &[3, 4, 5, 6]).await?;
    expect("once", &[6]).await?;
    // On time, whatever the rule.
    clock.set("2026-01-01T07:00:02Z")?;
    for rule in RULES {
        expect(rule, &[7]).await?;
    }
    // Back, and forward from there: what was fired is not fired again.
    clock.set("2026-01-01T03:59:58Z")?;
    host.wait_for_event("schedule.clock_behind", &[("schedule", "all")])
        .await?;
    clock.set("2026-01-01T08:00:02Z")?;
    for rule in RULES {
        expect(rule, &[8]).await?;
    }
    host.stop().await?;
    for rule in RULES {
        let more = vhost.drain(rule).await?;
        assert!(more.is_empty(), "{rule}: {:?}", planned(rule, &more));
    }
    Ok(())
}
