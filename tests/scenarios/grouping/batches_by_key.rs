//! `batch.by`: a batch holds deliveries of one key, and the batches of several keys are gathered side by side.

use std::collections::BTreeMap;

use anyhow::Result;
use hive_tests::{HiveToml, HostProcess, Message, Vhost, eventually};

use crate::{assert_settled, consuming};

/// A wait that no scenario reaches.
const NEVER: &str = "15m";

/// A consumer of batches by the header `tenant`, whose component prints each of them.
fn batches(size: u16, wait: &str, keys: &str) -> HiveToml {
    let batch =
        format!("batch = {{ size = {size}, wait = \"{wait}\", by = \"header:tenant\" }}\n{keys}");
    HiveToml::one("letters", "batch", &batch).queue("out", "")
}

/// Bodies as `a1` are of the tenant `a`, and those that begin with `-` of none.
async fn send(vhost: &Vhost, bodies: &[&str]) -> Result<()> {
    let message = |body: &&str| {
        let message = Message::new(format!("{body} publish"));
        match &body[..1] {
            "-" => message,
            tenant => message.text_header("tenant", tenant),
        }
    };
    let messages = bodies.iter().map(message);
    vhost.publish_all("", "letters", messages).await
}

async fn in_hand(host: &HostProcess, count: u32) -> Result<()> {
    let what = format!("{count} deliveries are in hand");
    let series = r#"hive_deliveries_in_flight{consumer="letters"}"#;
    let look = || host.metric(series);
    eventually(&what, look, |seen| *seen == f64::from(count)).await?;
    Ok(())
}

async fn handed_over(host: &HostProcess, reason: &str) -> Result<f64> {
    let series = format!(r#"hive_batches_total{{consumer="letters",reason="{reason}"}}"#);
    host.metric(&series).await
}

#[tokio::test]
async fn a_batch_holds_deliveries_of_one_key_in_their_order() -> Result<()> {
    let (vhost, mut host) = consuming("by-key", batches(3, NEVER, "")).await?;
    send(&vhost, &["a1", "b1", "-1", "a2", "b2", "-2", "c1"]).await?;
    in_hand(&host, 7).await?;
    assert_eq!(host.count_printed("batch of"), 0, "none is full");
    send(&vhost, &["b3"]).await?;
    host.wait_for_printed("batch of 3: b1/1 b2/1 b3/1").await?;
    send(&vhost, &["a3", "-3"]).await?;
    host.wait_for_printed("batch of 3: a1/1 a2/1 a3/1").await?;
    // Those without the key are together.
    host.wait_for_printed("batch of 3: -1/1 -2/1 -3/1").await?;
    in_hand(&host, 1).await?;
    assert_eq!(handed_over(&host, "size").await?, 3.0);
    // What is left of one key goes back at once, at its first attempt.
    host.stop().await?;
    host.wait_for_event("batch.given_back", &[]).await?;
    vhost.wait_ready("letters", 1).await?;
    assert_eq!(vhost.take_one("letters").await?.text(), "c1 publish");
    Ok(())
}

#[tokio::test]
async fn the_first_of_each_key_waits_no_longer_than_it_may() -> Result<()> {
    let (vhost, mut host) = consuming("by-key", batches(3, "300ms", "")).await?;
    send(&vhost, &["a1", "b1", "a2"]).await?;
    host.wait_for_printed("batch of 2: a1/1 a2/1").await?;
    host.wait_for_printed("batch of 1: b1/1").await?;
    in_hand(&host, 0).await?;
    assert_eq!(handed_over(&host, "wait").await?, 2.0);
    assert_settled(&vhost, &mut host, "letters").await
}

/// With room for four, four keys with one each would wait for one another for ever.
#[tokio::test]
async fn where_no_more_can_come_the_fullest_batch_goes_early() -> Result<()> {
    let (vhost, mut host) = consuming("by-key", batches(3, NEVER, "prefetch = 5")).await?;
    send(&vhost, &["a1", "b1", "c1", "b2"]).await?;
    in_hand(&host, 4).await?;
    assert_eq!(
        host.count_printed("batch of"),
        0,
        "there is room for one more"
    );
    send(&vhost, &["d1"]).await?;
    host.wait_for_printed("batch of 2: b1/1 b2/1").await?;
    in_hand(&host, 3).await?;
    assert_eq!(handed_over(&host, "prefetch").await?, 1.0);
    host.stop().await?;
    vhost.wait_ready("letters", 3).await
}

/// Many keys, several workers and a rate of each key: each delivery is in one batch of its key.
#[tokio::test]
async fn many_keys_are_gathered_side_by_side() -> Result<()> {
    let keys = "concurrency = 4\n\
                rate_by = { key = \"header:tenant\", rate = \"1000/s\", burst = 20 }";
    let (vhost, mut host) = consuming("by-key", batches(5, "200ms", keys)).await?;
    let bodies = (0..200).map(|number| {
        let tenant = format!("t{}", number % 40);
        Message::new(format!("{tenant}-{number} publish")).text_header("tenant", &tenant)
    });
    vhost.publish_all("", "letters", bodies).await?;
    let mut seen = BTreeMap::<String, Vec<u32>>::new();
    for message in vhost.take("out", 200).await? {
        let text = message.text();
        let (tenant, number) = text.split_once('-').unwrap_or_default();
        seen.entry(tenant.to_owned())
            .or_default()
            .push(number.parse()?);
    }
    assert_eq!(seen.len(), 40);
    for (tenant, mut numbers) in seen {
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 5, "of {tenant}: {numbers:?}");
    }
    for line in host.printed() {
        let Some((_, batch)) = line.split_once("batch of ") else {
            continue;
        };
        let tenant = |word: &str| word.split('-').next().map(str::to_owned);
        let mut words = batch.split(' ').skip(1);
        let first = words.next().and_then(tenant);
        assert!(words.all(|word| tenant(word) == first), "{line}");
    }
    in_hand(&host, 0).await?;
    assert_settled(&vhost, &mut host, "letters").await
}
