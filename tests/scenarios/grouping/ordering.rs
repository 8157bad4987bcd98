//! `ordered_by`: of each key one at a time and in order, whatever fails and breaks meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, example, example_component};

use crate::connection::network::behind_proxy;
use crate::{assert_settled, consuming};

/// Under load, eight workers, and keys that come as mixed up as they can.
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A consumer of `letters` that keeps an order.
fn ordered(consumer_keys: &str) -> HiveToml {
    ordered_from("", consumer_keys)
}

/// With keys of the queue too.
fn ordered_from(queue_keys: &str, consumer_keys: &str) -> HiveToml {
    let keys = format!("concurrency = 8\n{consumer_keys}");
    HiveToml::new()
        .queue("letters", queue_keys)
        .component("in-order", "")
        .consumer("letters", "in-order", &keys)
        .queue("out", "")
}

/// A message of `key`, the `number`th, with its key in every place where one may be looked for.
fn letter(key: &str, number: i64) -> Message {
    Message::new(format!(r#"{{"customer": {{"id": "{key}"}}}}"#))
        .text_header("key", key)
        .header("number", number)
}

/// What `out` was told: the numbers and attempts of each key, in their order.
type Told = BTreeMap<String, Vec<(i64, u32)>>;

fn told(messages: &[Message]) -> Result<Told> {
    let mut told = Told::new();
    for message in messages {
        let text = message.text();
        let mut words = text.split(' ');
        let key = words.next().context("a key")?;
        let number = words.next().context("a number")?.parse()?;
        let attempt = words.next().context("an attempt")?.parse()?;
        told.entry(key.to_owned())
            .or_default()
            .push((number, attempt));
    }
    Ok(told)
}

fn assert_in_order(told: &Told, each: i64) {
    for key in KEYS {
        let numbers: Vec<i64> = told[key].iter().map(|(number, _)| *number).collect();
        let expected: Vec<i64> = (0..each).collect();
        assert_eq!(numbers, expected, "of key {key}");
    }
}

/// From what the guests printed: how many keys were in hand at once at most. Two of one key at once
/// are an error.
fn most_at_once(host: &HostProcess) -> Result<usize> {
    let mut in_hand: Vec<String> = Vec::new();
    let mut most = 0;
    for line in host.printed() {
        let key = |verb: &str| {
            let (_, rest) = line.split_once(verb)?;
            Some(rest.split(' ').next().unwrap_or_default().to_owned())
        };
        if let Some(key) = key("began ") {
            ensure!(!in_hand.contains(&key), "two of key {key} at once: {line}");
            in_hand.push(key);
            most = most.max(in_hand.len());
        } else if let Some(key) = key("ended ") {
            in_hand.retain(|other| *other != key);
        }
    }
    Ok(most)
}

async fn keeps_the_order(by: &str) -> Result<()> {
    let toml = HiveToml::new()
        .exchange("post", r#"type = "fanout""#)
        .queue("letters", r#"bindings = [{ exchange = "post" }]"#)
        .queue("out", "")
        .component("in-order", "")
        .consumer(
            "letters",
            "in-order",
            &format!("concurrency = 8\nordered_by = \"{by}\""),
        );
    let (vhost, mut host) = consuming("ordered", toml).await?;
    let each = 20;
    // All on their way at once: a letter that comes when the one before it is done shows nothing.
    let letters = (0..each).flat_map(|number| KEYS.map(|key| (key, letter(key, number))));
    vhost.publish_each("post", letters).await?;
    let told = told(&vhost.take("out", KEYS.len() * each as usize).await?)?;
    assert_in_order(&told, each);
    assert!(most_at_once(&host)? > 1, "keys waited for one another");
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn each_routing_key_is_handled_in_order_and_keys_side_by_side() -> Result<()> {
    keeps_the_order("routing-key").await
}

#[tokio::test]
async fn each_value_of_a_header_is_handled_in_order_and_values_side_by_side() -> Result<()> {
    keeps_the_order("header:key").await
}

#[tokio::test]
async fn each_value_in_the_body_is_handled_in_order_and_values_side_by_side() -> Result<()> {
    keeps_the_order("json:/customer/id").await
}

/// Every fifth one of each key fails twice.
fn failing(each: i64) -> impl Iterator<Item = Message> {
    let fails = |number: i64| i64::from(number % 5 == 3) * 2;
    (0..each)
        .flat_map(move |number| KEYS.map(|key| letter(key, number).header("fails", fails(number))))
}

#[tokio::test]
async fn a_retry_holds_those_of_its_key_behind_it() -> Result<()> {
    let toml = ordered("ordered_by = \"header:key\"\nretry = { limit = 2, delays = [\"50ms\"] }");
    let (vhost, mut host) = consuming("ordered", toml).await?;
    let each = 20;
    vhost.publish_all("", "letters", failing(each)).await?;
    let told = told(&vhost.take("out", KEYS.len() * each as usize).await?)?;
    assert_in_order(&told, each);
    for (key, seen) in &told {
        for (number, attempt) in seen {
            let expected = if number % 5 == 3 { 3 } else { 1 };
            assert_eq!(*attempt, expected, "{number} of {key}");
        }
    }
    most_at_once(&host)?;
    let retries = KEYS.len() as f64 * 8.0;
    let series = r#"hive_retries_total{consumer="letters"}"#;
    assert_eq!(host.metric(series).await?, retries);
    let waiting = r#"hive_deliveries_waiting{consumer="letters"}"#;
    assert_eq!(host.metric(waiting).await?, 0.0);
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    let through = vhost.counters("letters.retry.50ms")?["message_stats"]["publish"].as_u64();
    assert_eq!(through.unwrap_or(0), 0, "a retry left its place");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_retried_any_more_lets_those_behind_it_go_on() -> Result<()> {
    let toml = ordered("ordered_by = \"header:key\"\nretry = { limit = 1, delays = [\"50ms\"] }");
    let (vhost, mut host) = consuming("ordered", toml).await?;
    let message = |number, fails: i64| letter("a", number).header("fails", fails);
    let messages = [message(0, 0), message(1, 9), message(2, 0)];
    vhost.publish_all("", "letters", messages).await?;
    let told = told(&vhost.take("out", 2).await?)?;
    assert_eq!(told["a"], [(0, 1), (2, 1)]);
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("number"), Some(1));
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn with_pass_those_behind_a_retry_overtake_it_and_nothing_else() -> Result<()> {
    let keys =
        "ordered_by = \"header:key\"\nordered_retry = \"pass\"\nretry = { delays = [\"1s\"] }";
    let (vhost, mut host) = consuming("ordered", ordered(keys)).await?;
    let fails = |number: i64| i64::from(number == 1);
    let messages = (0..10)
        .flat_map(|number| KEYS.map(|key| letter(key, number).header("fails", fails(number))));
    vhost.publish_all("", "letters", messages).await?;
    let told = told(&vhost.take("out", KEYS.len() * 10).await?)?;
    for key in KEYS {
        let seen = &told[key];
        let others: Vec<_> = seen.iter().filter(|(number, _)| *number != 1).collect();
        let numbers: Vec<i64> = others.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 2, 3, 4, 5, 6, 7, 8, 9], "of key {key}");
        let place = seen.iter().position(|(number, _)| *number == 1);
        assert!(place > Some(1), "of key {key} nothing overtook: {seen:?}");
        assert!(seen.contains(&(1, 2)), "of key {key}: {seen:?}");
    }
    assert_settled(&vhost, &mut host, "letters").await
}

/// A broker closes the channel of whoever keeps a delivery for too long, so no retry is held for that.
#[tokio::test]
async fn a_retry_that_would_hold_for_too_long_goes_through_its_delay_queue() -> Result<()> {
    let toml = ordered("ordered_by = \"header:key\"\nretry = { delays = [\"1h\"] }");
    let (vhost, mut host) = consuming("ordered", toml).await?;
    let messages = [letter("a", 0).header("fails", 1), letter("a", 1)];
    vhost.publish_all("", "letters", messages).await?;
    let told = told(&vhost.take("out", 1).await?)?;
    assert_eq!(told["a"], [(1, 1)]);
    vhost.wait_ready("letters.retry.1h", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_stop_leaves_what_is_held_in_its_place_and_holds_nobody_else() -> Result<()> {
    let toml = ordered("ordered_by = \"header:key\"\nretry = { delays = [\"10m\"] }");
    let (vhost, mut host) = consuming("ordered", toml.clone()).await?;
    let messages = [
        letter("a", 0).header("fails", 1),
        letter("a", 1),
        letter("b", 0),
        letter("a", 2),
        // Without a key: in nobody's order.
        Message::new("{}").header("number", 7),
    ];
    vhost.publish_all("", "letters", messages).await?;
    let mut free: Vec<_> = vhost.take("out", 2).await?;
    free.sort_by_key(Message::text);
    let free: Vec<String> = free.iter().map(Message::text).collect();
    assert_eq!(free, ["b 0 1", "none 7 1"]);
    host.wait_for_event("delivery.retry_kept", &[]).await?;
    host.stop().await?;
    vhost.wait_ready("letters", 3).await?;
    assert_eq!(vhost.ready("letters.retry.10m").await?, 0);
    let left = vhost.drain("letters").await?;
    let numbers: Vec<_> = left.iter().map(|left| left.number_of("number")).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)], "out of its place");
    assert!(
        left.iter()
            .all(|left| left.value("x-hive-attempt").is_none())
    );
    Ok(())
}

/// Of each key nothing is handled before what is before it has been; what comes again after a cut is
/// a repeat.
fn assert_nothing_is_skipped(told: &Told, each: i64) {
    for key in KEYS {
        let mut next = 0;
        for (number, _) in &told[key] {
            assert!(*number <= next, "{number} of key {key} before {next}");
            next = next.max(number + 1);
        }
        assert_eq!(next, each, "of key {key}");
    }
}

/// One consumer is active at a time: the host may be back before the broker has noticed that the
/// link is gone, and would be handed what is behind the deliveries that still count as out.
#[tokio::test]
async fn links_that_are_cut_repeat_deliveries_and_skip_none() -> Result<()> {
    let toml = ordered_from(
        r#"arguments = { "x-single-active-consumer" = true }"#,
        "ordered_by = \"header:key\"\nprefetch = 60\nretry = { limit = 5, delays = [\"50ms\"] }",
    )
    .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("ordered", &toml).await?;
    let each = 60;
    let mut came = 0;
    let mut seen = Vec::new();
    let mut done = BTreeMap::new();
    let taking = vhost.take_until("out", |message| {
        came += 1;
        // Not near the end: what comes again after the last cut has come before the last of a key.
        if came % 80 == 0 && came < 300 {
            proxy.cut();
        }
        seen.push(message.clone());
        let text = message.text();
        if text.contains(&format!(" {} ", each - 1)) {
            done.insert(text.split(' ').next().unwrap_or_default().to_owned(), ());
        }
        done.len() == KEYS.len()
    });
    tokio::try_join!(vhost.publish_all("", "letters", failing(each)), taking)?;
    assert_nothing_is_skipped(&told(&seen)?, each);
    assert!(host.count_events("link.lost", &[]) >= 2, "no link was cut");
    assert_eq!(
        vhost.consumers("letters").await?,
        1,
        "left a channel behind"
    );
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// `examples/ordering` as it stands: what its README says.
#[tokio::test]
async fn the_example_tells_of_each_parcel_in_order() -> Result<()> {
    example_component("parcels");
    let folder = example("ordering");
    let vhost = Broker::shared().await?.vhost("parcels").await?;
    let variables = [("RABBITMQ_URL", vhost.url())];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut host = HostProcess::launch_file(&folder.join("hive.toml"), &variables)?;
    host.wait_for_start_of("parcels").await?;
    let mut samples: Vec<_> = std::fs::read_dir(folder.join("messages"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    samples.sort();
    let samples = samples.iter().map(std::fs::read);
    let samples: Vec<Message> = samples
        .map(|body| Ok(Message::new(body?)))
        .collect::<Result<_>>()?;
    vhost.publish_all("", "parcels", samples).await?;
    let mut told = BTreeMap::<String, Vec<String>>::new();
    for message in vhost.take("parcels.told", 5).await? {
        let line: serde_json::Value = serde_json::from_slice(&message.body)?;
        let of = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        told.entry(of("parcel")).or_default().push(of("text"));
    }
    assert_eq!(
        told["p-1"],
        ["is packed", "went through customs", "is delivered"]
    );
    assert_eq!(told["p-2"], ["is packed", "is delivered"]);
    assert_settled(&vhost, &mut host, "parcels").await
}
