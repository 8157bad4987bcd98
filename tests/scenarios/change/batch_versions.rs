//! Components of consumers with batches: what does not fit is refused with both names, and what fits
//! takes over under load.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, check, eventually, guest, scratch};

const BATCH: &str = r#"batch = { size = 20, wait = "50ms" }"#;

fn toml(component: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component_at("archive", &guest(component), "")
        .consumer("letters", "archive", keys)
}

#[test]
fn check_names_a_component_and_a_consumer_that_do_not_fit() -> Result<()> {
    for (component, keys, wanted) in [
        ("batch", "", "hive:consumer/handler"),
        ("echo", BATCH, "hive:consumer/batch-handler"),
    ] {
        let text = toml(component, keys).text_for("amqp://guest:guest@127.0.0.1:1/%2f");
        let refused = check(&text)?;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        for word in ["archive", "\"letters\"", "`batch`", wanted] {
            assert!(refused.stderr.contains(word), "{word}: {refused:?}");
        }
    }
    let text = toml("batch", BATCH).text_for("amqp://guest:guest@127.0.0.1:1/%2f");
    let fine = check(&text)?;
    assert_eq!(fine.code, Some(0), "{fine:?}");
    assert!(fine.stdout.contains("in batches of 20"), "{fine:?}");
    Ok(())
}

#[test]
fn check_names_a_prefetch_in_which_no_batch_gets_full() -> Result<()> {
    let keys = "batch = { size = 1000, wait = \"1s\" }\nprefetch = 100";
    let refused = check(&toml("batch", keys).text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for word in ["consumers.letters.prefetch", "batch.size", "1000"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_swap_and_a_reload_that_do_not_fit_change_nothing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("versions").await?;
    let file = scratch("versions").join("hive.toml");
    let toml = |keys| toml("first-batch", keys);
    let host = HostProcess::run_file(&vhost, &toml(BATCH), &file).await?;
    let answers = async |body: &str| {
        vhost.publish("", "letters", Message::new(body)).await?;
        assert_eq!(vhost.take_one("out").await?.text(), format!("first {body}"));
        anyhow::Ok(())
    };
    answers("one").await?;
    let single = guest("first");
    let arguments = ["archive", &*single.to_string_lossy()];
    let refused = host.told("swap", &file, &arguments).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for word in ["\"archive\"", "\"letters\"", "batch-handler"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    answers("two").await?;
    std::fs::write(&file, toml("").text(&vhost))?;
    let refused = host.told("reload", &file, &[]).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for word in ["\"archive\"", "\"letters\"", "hive:consumer/handler"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    answers("three").await?;
    // What changes in it is applied.
    let smaller = r#"batch = { size = 1, wait = "15m" }"#;
    std::fs::write(&file, toml(smaller).text(&vhost))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let change = r#"batch { size = 20, wait = "50ms" } -> { size = 1, wait = "15m" }"#;
    assert!(reloaded.stdout.contains(change), "{reloaded:?}");
    answers("four").await
}

/// As many as make the last version another than the first.
const SWAPS: usize = 13;
/// Published beside each swap, and before the first and after the last.
const PORTION: usize = 700;
const MESSAGES: usize = PORTION * (SWAPS + 2);

#[tokio::test]
async fn swaps_under_load_lose_no_delivery_of_a_batch_and_repeat_none() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("load").await?;
    let folder = scratch("load");
    let file = folder.join("hive.toml");
    let keys = format!("{BATCH}\nconcurrency = 2");
    let host = HostProcess::run_file(&vhost, &toml("first-batch", &keys), &file).await?;
    let publish = async |portion: usize| {
        let numbers = portion * PORTION..(portion + 1) * PORTION;
        let numbers = numbers.map(|number| Message::new(number.to_string()));
        vhost.publish_all("", "letters", numbers).await
    };
    let swap = async |number: usize| {
        let next = guest(["second-batch", "first-batch"][number % 2]);
        let arguments = ["archive", &*next.to_string_lossy()];
        let swapped = host.told("swap", &file, &arguments).await?;
        ensure!(swapped.code == Some(0), "{swapped:?}");
        anyhow::Ok(())
    };
    let load = async {
        publish(SWAPS).await?;
        let acked = "hive_deliveries_total{consumer=\"letters\",outcome=\"acked\"}";
        let some = |acked: &f64| *acked > 0.0;
        eventually(
            "the first version has answered",
            || host.metric(acked),
            some,
        )
        .await?;
        for number in 0..SWAPS {
            tokio::try_join!(publish(number), swap(number))?;
        }
        publish(SWAPS + 1).await
    };
    let mut answered: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    let answers = vhost.take_until("out", |answer| {
        let text = answer.text();
        let (version, number) = text.split_once(' ').unwrap_or_default();
        let number = number.parse().unwrap_or(usize::MAX);
        answered.entry(number).or_default().push(version.to_owned());
        count += 1;
        count == MESSAGES
    });
    let (loaded, taken) = tokio::join!(load, answers);
    loaded?;
    taken?;
    assert_eq!(answered.len(), MESSAGES, "some messages were not answered");
    for version in ["first", "second"] {
        let by = answered.values().filter(|by| by[0] == version).count();
        assert!(by > 0, "none was answered by {version}");
    }
    for other in ["retried", "dead_lettered", "requeued", "lost"] {
        let series = format!(r#"hive_deliveries_total{{consumer="letters",outcome="{other}"}}"#);
        assert_eq!(host.metric(&series).await?, 0.0, "{other}");
    }
    Ok(())
}
