//! Several hosts with one schedule: each firing once, through kills, lost connections and a change of the clocks.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use hive_tests::{Broker, HostProcess, Message, TurnedClock, Vhost, scratch};

use super::{into_queue, one, planned};

/// Minutes that pass at once.
const AT_ONCE: usize = 20;

/// Firings; `scripts/nightly` asks for more.
fn firings() -> usize {
    let wanted = std::env::var("HIVE_FIRINGS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn launch(toml: &str, clock: &TurnedClock) -> Result<HostProcess> {
    let file = scratch("schedules").join("hive.toml");
    std::fs::write(&file, toml)?;
    HostProcess::launch_file(&file, &clock.variables())
}

/// Takes what a schedule has fired until so many planned times are among it.
async fn take(vhost: &Vhost, all: &mut Vec<Message>, count: usize) -> Result<()> {
    while planned("ticks", all).len() < count {
        all.push(vhost.take_one("ticks").await?);
    }
    Ok(())
}

/// Each minute from the first to the last, as the ids have them.
fn minutes(first: &str, count: usize) -> Result<BTreeSet<String>> {
    let first: SystemTime = humantime::parse_rfc3339(first)?;
    let minutes = (0..count).map(|minute| {
        let at = first + Duration::from_secs(60 * minute as u64);
        humantime::format_rfc3339_seconds(at).to_string()
    });
    Ok(minutes.collect())
}

#[tokio::test]
async fn each_firing_is_once_through_kills_and_the_end_of_summer_time() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("schedules").await?;
    // The clocks go back at 01:00 in UTC.
    let mut clock = TurnedClock::at("2026-10-25T00:10:30Z")?;
    let keys = "timezone = \"Europe/Berlin\"\nmissed = \"all\"";
    let toml = one("ticks", "* * * * *", keys).queue("nights", "").section(
        "schedules.nights",
        &into_queue("nights", "30 2 * * *", keys),
    );
    let toml = toml.text(&vhost);
    let mut hosts = vec![launch(&toml, &clock)?];
    for schedule in ["ticks", "nights"] {
        hosts[0]
            .wait_for_event("schedule.active", &[("schedule", schedule)])
            .await?;
    }
    hosts.push(launch(&toml, &clock)?);
    let (mut all, mut kills) = (Vec::new(), 0);
    let steps = firings() / AT_ONCE;
    for step in 1..=steps {
        let fired = |host: &HostProcess| host.count_events("schedule.fired", &[]);
        let before: Vec<_> = hosts.iter().map(fired).collect();
        clock.turn(60 * i64::try_from(AT_ONCE)?)?;
        take(&vhost, &mut all, (step - 1) * AT_ONCE + 3).await?;
        let active = hosts
            .iter()
            .zip(&before)
            .position(|(host, before)| fired(host) > *before);
        // Its log may be behind its messages.
        let active = active.unwrap_or_default();
        hosts[active].kill9()?;
        hosts.remove(active);
        hosts.push(launch(&toml, &clock)?);
        kills += 1;
        take(&vhost, &mut all, step * AT_ONCE).await?;
    }
    for host in &mut hosts {
        host.stop().await?;
    }
    all.extend(vhost.drain("ticks").await?);
    // The clock runs too: there may be more than were turned.
    let fired = planned("ticks", &all);
    let first = fired.first().context("nothing was fired")?;
    assert_eq!(fired, minutes(first, fired.len())?);
    assert!(first.as_str() < "2026-10-25T00:15:00Z", "{first}");
    let repeats = all.len() - fired.len();
    assert!(repeats <= kills, "{repeats} repeats for {kills} kills");
    let nights = vhost.drain("nights").await?;
    assert_eq!(
        planned("nights", &nights),
        BTreeSet::from(["2026-10-25T00:30:00Z".to_owned()])
    );
    Ok(())
}
