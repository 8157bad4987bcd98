//! What is done to schedules from outside: no queue, lost connections, reloads, a firing by hand.

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, eventually, run_to_end, scratch};

use super::{into_queue, one, planned};

const EACH_SECOND: &str = "* * * * * *";

#[tokio::test]
async fn a_firing_that_no_queue_takes_is_tried_until_one_does() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("unroutable").await?;
    let keys = into_queue("later", EACH_SECOND, "");
    let toml = HiveToml::new().section("schedules.later", &keys);
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    let not_fired = host
        .wait_for_event("schedule.not_fired", &[("code", "HIVE-0701")])
        .await?;
    let look = async || host.readiness().await;
    let is_failing = |(status, said): &(u16, serde_json::Value)| {
        let state = &said["schedules"][0]["state"];
        *status == 503 && *state == "failing"
    };
    eventually("it is not ready", look, is_failing).await?;
    let failed = "hive_schedule_firings_total{result=\"failed\",schedule=\"later\"}";
    ensure!(host.metric(failed).await? >= 1.0);
    vhost.declare_queue("later", "quorum").await?;
    let first = vhost.take_one("later").await?;
    let planned = not_fired.field("planned").context("no planned time")?;
    assert_eq!(first.id(), format!("schedule:later:{planned}"));
    let look = async || host.readiness().await;
    eventually("it is ready", look, |(status, _)| *status == 200).await?;
    host.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_connection_loses_no_firing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("schedule-lost").await?;
    let toml = one("ticks", EACH_SECOND, "");
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    let mut all = vec![vhost.take_one("ticks").await?];
    vhost.close_host_connections()?;
    all.extend(vhost.take("ticks", 2).await?);
    host.stop().await?;
    all.extend(vhost.drain("ticks").await?);
    let times: Vec<_> = planned("ticks", &all).into_iter().collect();
    let seconds = times.iter().map(|time| humantime::parse_rfc3339(time));
    let seconds: Vec<_> = seconds.collect::<Result<_, _>>()?;
    for pair in seconds.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0])?.as_secs(), 1, "{times:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reload_changes_schedules_and_a_firing_by_hand_is_one_more() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("schedule-reload").await?;
    let file = scratch("schedule-reload").join("hive.toml");
    let never = "0 0 1 1 *";
    let before = one("first", never, "");
    let mut host = HostProcess::run_file(&vhost, &before, &file).await?;
    host.wait_for_event("schedule.active", &[("schedule", "first")])
        .await?;
    let path = file.to_string_lossy();
    let run = run_to_end(&["schedule", "run", &path, "first"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let by_hand = vhost.take_one("first").await?;
    assert!(
        by_hand.id().starts_with("schedule:first:run:"),
        "{}",
        by_hand.id()
    );
    assert_eq!(by_hand.text(), "{}");
    // The times of one change, and another one comes.
    let after = one("first", EACH_SECOND, "")
        .queue("second", "")
        .section("schedules.second", &into_queue("second", EACH_SECOND, ""));
    std::fs::write(&file, after.text(&vhost))?;
    host.sighup();
    host.wait_for_event("schedule.times_changed", &[("schedule", "first")])
        .await?;
    for schedule in ["first", "second"] {
        let taken = vhost.take(schedule, 1).await?;
        assert_eq!(planned(schedule, &taken).len(), 1);
    }
    // One goes: its channel is closed, and its token waits for the next host.
    std::fs::write(&file, before.text(&vhost))?;
    let changed = host.mark();
    host.sighup();
    host.wait_since(changed, "config.reloaded", &[]).await?;
    let look = async || vhost.ready("hive.schedule.second").await;
    eventually("the token is back", look, |ready| *ready >= 1).await?;
    let unknown = run_to_end(&["schedule", "run", &path, "second"])?;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    host.stop().await?;
    Ok(())
}
