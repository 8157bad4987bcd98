//! `hive-host status`: what a running host is doing.

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually, run_to_end, scratch};
use serde_json::Value;

fn toml() -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .queue("poison", "")
        .component("echo", "")
        .component("reject", "")
        .consumer("letters", "echo", "concurrency = 2")
        .consumer(
            "poison",
            "reject",
            "scale = { max = 3, messages_per_instance = 5, every = \"100ms\" }",
        )
        .consumer("not-there", "echo", "")
}

#[tokio::test]
async fn status_tells_of_every_connection_consumer_and_component() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("status").await?;
    let file = scratch("status").join("hive.toml");
    std::fs::write(&file, toml().text(&vhost))?;
    let mut host = HostProcess::launch_file(&file, &[])?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "letters")])
        .await?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "poison")])
        .await?;
    let messages = (0..7).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    vhost.publish("", "poison", Message::new("bad")).await?;
    vhost.take("out", 7).await?;
    vhost.take_one("poison.dead").await?;

    let look = async || -> Result<Value> {
        let told = host.told("status", &file, &["--json"]).await?;
        ensure!(told.code == Some(0), "{told:?}");
        Ok(serde_json::from_str(&told.stdout)?)
    };
    let done = |said: &Value| {
        said["consumers"][0]["deliveries"]["acked"] == 7
            && said["consumers"][2]["deliveries"]["dead_lettered"] == 1
            && said["consumers"][2]["waiting"] == 0
    };
    let said = eventually("all of it is told", look, done).await?;
    let consumers = said["consumers"].as_array().context("a list")?;
    assert_eq!(consumers.len(), 3);
    let (letters, gone, poison) = (&consumers[0], &consumers[1], &consumers[2]);
    assert_eq!(letters["consuming"], true);
    assert_eq!(
        (&letters["workers"], &letters["in_flight"]),
        (&2.into(), &0.into())
    );
    assert!(letters["waiting"].is_null(), "nobody looks: {letters}");
    assert_eq!(
        (&poison["workers"], &poison["workers_wanted"]),
        (&1.into(), &1.into())
    );
    assert_eq!(gone["consuming"], false);
    let reason = gone["reason"].as_str().context("a reason")?;
    assert!(reason.contains("not-there"), "{reason}");
    assert_eq!(said["connections"].as_array().map(Vec::len), Some(2));
    assert_eq!(said["connections"][0]["state"], "open");
    assert_eq!(said["components"][0]["generation"], 1);

    let told = host.told("status", &file, &[]).await?;
    ensure!(told.code == Some(0), "{told:?}");
    let row = |name: &str| {
        let row = told.stdout.lines().find(|line| line.starts_with(name));
        row.map(str::to_owned)
            .with_context(|| format!("no {name}: {told:?}"))
    };
    assert!(row("main")?.contains("open"));
    assert!(row("letters")?.contains("7 (0.0/s)"));
    assert!(row("poison")?.contains("1 (0.0/s)"));
    assert!(row("not-there")?.contains("waiting"));
    assert!(row("echo")?.contains("1"));
    host.stop().await
}

#[tokio::test]
async fn status_watches_until_the_host_is_gone() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("status").await?;
    let file = scratch("status").join("hive.toml");
    let toml = HiveToml::one("letters", "ack", "");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let address = format!("127.0.0.1:{}", host.admin_port().await?);
    let arguments = [
        "status",
        &*file.to_string_lossy(),
        "--admin",
        &address,
        "--watch",
    ];
    let mut watching = HostProcess::launch_command(&arguments)?;
    let row = |line: &&String| line.starts_with("letters ");
    let rows = async || Ok(watching.lines().iter().filter(row).count());
    eventually("it has looked", rows, |rows| *rows >= 1).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    // It goes on, and sees what came after.
    watching.wait_for_output(" 1 (").await?;
    host.stop().await?;
    assert_eq!(watching.wait().await?.code(), Some(1));
    watching.wait_for_output("127.0.0.1:").await?;
    Ok(())
}

#[tokio::test]
async fn status_says_where_no_host_answers() -> Result<()> {
    let file = scratch("status").join("hive.toml");
    // The port of nobody: this one is reserved.
    std::fs::write(&file, "[host]\nadmin = \"127.0.0.1:1\"\n")?;
    let told = run_to_end(&["status", &file.to_string_lossy()])?;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr.contains("no host answers at 127.0.0.1:1"),
        "{told:?}"
    );
    assert_eq!(told.stdout, "");
    let told = run_to_end(&["status", "no-such.toml"])?;
    assert_eq!(told.code, Some(2), "{told:?}");
    Ok(())
}
