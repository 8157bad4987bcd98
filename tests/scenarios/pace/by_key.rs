//! `concurrency_by` and `rate_by`: how many deliveries of one key are handled at once, and how often, and that other
//! keys do not wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually, scratch};
use serde_json::Value;

use crate::connection::network::behind_proxy;
use crate::process::placement::command;
use crate::{assert_settled, consuming};

/// How many wait because their key is at its limit.
const LIMITED: &str = r#"hive_deliveries_limited{consumer="letters"}"#;

/// A rate that lets one of each key through, and no other while a scenario lasts.
const ONE_EACH: &str = r#"rate_by = { key = "header:tenant", rate = "1/h" }"#;

/// A message of a tenant, with its number.
fn of(tenant: &str, number: i64) -> Message {
    Message::new(format!("{tenant} {number}"))
        .text_header("tenant", tenant)
        .text_header("key", tenant)
        .header("number", number)
}

/// The bodies that came, in their order.
async fn came(vhost: &Vhost, count: usize) -> Result<Vec<String>> {
    let messages = vhost.take("out", count).await?;
    Ok(messages.iter().map(Message::text).collect())
}

async fn sorted(vhost: &Vhost, count: usize) -> Result<Vec<String>> {
    let mut came = came(vhost, count).await?;
    came.sort();
    Ok(came)
}

async fn wait_limited(host: &HostProcess, count: u32) -> Result<()> {
    let what = format!("{count} deliveries wait for their key");
    eventually(
        &what,
        || host.metric(LIMITED),
        |seen| *seen == f64::from(count),
    )
    .await?;
    Ok(())
}

/// What the host says of its consumer `letters`.
async fn letters_of(host: &HostProcess) -> Result<Value> {
    let answer = host.admin("/v1/consumers").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let consumers: Vec<Value> = serde_json::from_str(&answer.body)?;
    let mut consumers = consumers.into_iter();
    let letters = consumers.find(|consumer| consumer["consumer"] == "letters");
    letters.context("the consumer is told of")
}

/// A consumer of `letters` that hands everything on to `out`.
fn echo(keys: &str) -> HiveToml {
    HiveToml::one("letters", "echo", keys).queue("out", "")
}

/// A consumer of `letters` whose component waits in each delivery until there is a file, and that file.
fn gated(keys: &str) -> (HiveToml, PathBuf) {
    let folder = scratch("gate");
    let dirs = format!(
        "timeout = \"10m\"\nallow = {{ dirs = [{{ host = {:?}, guest = \"/gate\" }}] }}",
        folder.to_string_lossy()
    );
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("gate", &dirs)
        .consumer("letters", "gate", keys);
    (toml, folder.join("open"))
}

fn open(gate: &Path) -> Result<()> {
    Ok(std::fs::write(gate, "")?)
}

/// From what the guests printed: the most deliveries of each key that were handled at once, and of all keys. `group`
/// gives the key of the limit.
fn most_at_once(
    host: &HostProcess,
    group: impl Fn(&str) -> String,
) -> (BTreeMap<String, usize>, usize) {
    let (mut now, mut most) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
    let mut of_all = 0;
    for line in host.printed() {
        let key = |verb: &str| {
            let (_, rest) = line.split_once(verb)?;
            Some(group(rest.split(' ').next().unwrap_or_default()))
        };
        if let Some(key) = key("began ") {
            let count = now.entry(key.clone()).or_default();
            *count += 1;
            let most = most.entry(key).or_default();
            *most = (*count).max(*most);
            of_all = of_all.max(now.values().sum());
        } else if let Some(key) = key("ended ") {
            *now.entry(key).or_default() -= 1;
        }
    }
    (most, of_all)
}

/// Of each tenant two at once and no more, while others go on, with this in the consumer's table.
async fn limits_how_many_at_once(keys: &str) -> Result<()> {
    let keys = format!("concurrency_by = {{ key = \"header:tenant\", limit = 2 }}\n{keys}");
    let toml = HiveToml::one("letters", "in-order", &keys).queue("out", "");
    let (vhost, mut host) = consuming("by-key", toml).await?;
    let messages = (0..30).flat_map(|number| ["a", "b", "c"].map(|tenant| of(tenant, number)));
    vhost.publish_all("", "letters", messages).await?;
    let seen: BTreeSet<_> = came(&vhost, 90).await?.into_iter().collect();
    assert_eq!(seen.len(), 90, "some came twice");
    let (most, of_all) = most_at_once(&host, str::to_owned);
    assert!(most.values().all(|most| *most <= 2), "{most:?}");
    assert!(most.values().any(|most| *most == 2), "{most:?}");
    assert!(of_all > 2, "keys waited for one another: {of_all} at once");
    wait_limited(&host, 0).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn of_one_key_as_many_as_its_limit_are_handled_at_once() -> Result<()> {
    limits_how_many_at_once("concurrency = 8").await
}

#[tokio::test]
async fn a_limit_holds_whatever_scales_the_workers() -> Result<()> {
    limits_how_many_at_once("scale = { min = 4, max = 8, messages_per_instance = 1 }").await
}

#[tokio::test]
async fn a_limit_holds_on_the_one_host_that_consumes() -> Result<()> {
    limits_how_many_at_once(
        "concurrency = 8\nplacement = \"single\"\nprefetch = 60\nrate = \"2000/s\"",
    )
    .await
}

/// A thousand messages of one tenant are in the queue before those of the others: four times what is prefetched by
/// default. Without a limit all of them would be handled first.
#[tokio::test]
async fn a_flood_of_one_tenant_does_not_hold_up_the_others() -> Result<()> {
    let keys = "concurrency = 8\nconcurrency_by = { key = \"header:tenant\", limit = 2 }";
    let toml = HiveToml::one("letters", "slow", keys).queue("out", "");
    let (vhost, mut host) = consuming("flood", toml).await?;
    let message = |tenant: String| Message::new("10").text_header("tenant", &tenant);
    let flood = (0..1000).map(|_| message("flood".to_owned()));
    let others = (0..99).map(|number| message(number.to_string()));
    vhost
        .publish_all("", "letters", flood.chain(others))
        .await?;
    let (mut of_flood, mut of_others) = (0, 0);
    vhost
        .take_until("out", |message| {
            match message.text_of("tenant").as_deref() {
                Some("flood") => of_flood += 1,
                _ => of_others += 1,
            }
            of_others == 99
        })
        .await?;
    // Six workers for 99, and two for the flood: it has about 33 meanwhile, and some before the others have come.
    assert!(
        of_flood < 300,
        "{of_flood} of the flood went before the others"
    );
    assert_eq!(host.count_events("consumer.limited_fill_prefetch", &[]), 0);
    host.stop().await
}

#[tokio::test]
async fn of_one_key_a_burst_goes_and_the_rest_waits_and_others_do_not() -> Result<()> {
    let keys = "concurrency = 2\nrate_by = { key = \"header:tenant\", rate = \"1/h\", burst = 2 }";
    let (vhost, mut host) = consuming("rate-by", echo(keys)).await?;
    let messages = (0..5).map(|number| of("a", number));
    let messages = messages.chain((0..3).map(|number| of("b", number)));
    // Without the key: nothing limits it.
    let messages = messages.chain((0..3).map(|number| Message::new(format!("none {number}"))));
    vhost.publish_all("", "letters", messages).await?;
    let expected = ["a 0", "a 1", "b 0", "b 1", "none 0", "none 1", "none 2"];
    assert_eq!(sorted(&vhost, 7).await?, expected);
    wait_limited(&host, 4).await?;
    let letters = letters_of(&host).await?;
    let limited = &letters["limited"];
    assert_eq!(limited["deliveries"], 4, "{letters}");
    assert_eq!(limited["fills_the_prefetch"], false, "{letters}");
    assert_eq!(limited["keys"][0]["rate_by"], "a", "{letters}");
    assert_eq!(limited["keys"][0]["deliveries"], 3, "{letters}");
    assert_eq!(limited["keys"][1]["rate_by"], "b", "{letters}");
    let (status, readiness) = host.readiness().await?;
    assert_eq!(
        status, 200,
        "what waits for its key is no fault: {readiness}"
    );

    // They go back as they came.
    host.stop().await?;
    vhost.wait_ready("letters", 4).await?;
    let left = vhost.drain("letters").await?;
    let mut texts: Vec<_> = left.iter().map(Message::text).collect();
    texts.sort();
    assert_eq!(texts, ["a 2", "a 3", "a 4", "b 2"]);
    let is_first = |left: &Message| left.value("x-hive-attempt").is_none();
    assert!(left.iter().all(is_first), "a retry was spent");
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_stop_gives_back_what_waits_before_what_is_in_flight_ends() -> Result<()> {
    let keys = "concurrency = 2\nconcurrency_by = { key = \"header:tenant\", limit = 1 }";
    let (toml, gate) = gated(keys);
    let (vhost, mut host) = consuming("by-key", toml).await?;
    let messages = (0..4).map(|number| of("a", number));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed("started a 0").await?;
    wait_limited(&host, 3).await?;
    host.sigterm();
    vhost.wait_ready("letters", 3).await?;
    assert_eq!(host.count_printed("started"), 1);
    assert_eq!(host.count_events("host.stopped", &[]), 0);
    open(&gate)?;
    ensure!(host.wait().await?.success(), "it did not stop as asked");
    vhost.wait_ready("letters", 3).await
}

#[tokio::test]
async fn a_pause_gives_back_what_waits_and_a_resumption_takes_it_up() -> Result<()> {
    let (vhost, mut host) = consuming("by-key", echo(ONE_EACH)).await?;
    let messages = (0..4).map(|number| of("a", number));
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 1).await?, ["a 0"]);
    wait_limited(&host, 3).await?;
    command(&host, "pause").await?;
    vhost.wait_ready("letters", 3).await?;
    wait_limited(&host, 0).await?;
    command(&host, "resume").await?;
    // The key has had its one, pause or not.
    wait_limited(&host, 3).await?;
    vhost.publish("", "letters", of("b", 0)).await?;
    assert_eq!(came(&vhost, 1).await?, ["b 0"]);
    host.stop().await?;
    vhost.wait_ready("letters", 3).await
}

#[tokio::test]
async fn a_reload_with_other_limits_lets_go_what_waited() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("by-key").await?;
    let file = scratch("by-key").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &echo(ONE_EACH), &file).await?;
    let messages = (0..20).map(|number| of("a", number));
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 1).await?, ["a 0"]);
    wait_limited(&host, 19).await?;
    let faster = echo(&ONE_EACH.replace("1/h", "1000/s"));
    std::fs::write(&file, faster.text(&vhost))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    let change = r#"rate_by.rate "1/h" -> "1000/s""#;
    assert!(reloaded.stdout.contains(change), "{reloaded:?}");
    let seen: BTreeSet<_> = came(&vhost, 19).await?.into_iter().collect();
    assert_eq!(seen.len(), 19, "some came twice: {seen:?}");
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_lost_connection_takes_what_waits_along_and_brings_it_again_once() -> Result<()> {
    let toml = echo(ONE_EACH).connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("by-key", &toml).await?;
    let messages = (0..6).map(|number| of("a", number));
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 1).await?, ["a 0"]);
    wait_limited(&host, 5).await?;
    let mark = host.mark();
    proxy.cut();
    host.wait_since(mark, "consumer.subscribed", &[]).await?;
    vhost.publish("", "letters", of("b", 0)).await?;
    assert_eq!(came(&vhost, 1).await?, ["b 0"]);
    // The ack of the first may have been lost with the connection; then it waits for its second token with the others.
    let look = || host.metric(LIMITED);
    let limited = eventually("all wait again, and once", look, |seen| {
        *seen == 5.0 || *seen == 6.0
    })
    .await?;
    assert_eq!(vhost.ready("out").await?, 0, "one went too many");
    host.stop().await?;
    vhost.wait_ready("letters", limited as u32).await
}

#[tokio::test]
async fn what_waits_comes_again_after_the_host_was_killed() -> Result<()> {
    let keys = "concurrency = 8\nconcurrency_by = { key = \"header:tenant\", limit = 1 }";
    let toml = HiveToml::one("letters", "in-order", keys).queue("out", "");
    let (vhost, mut host) = consuming("by-key", toml.clone()).await?;
    let messages = (0..40).flat_map(|number| ["a", "b", "c"].map(|tenant| of(tenant, number)));
    vhost.publish_all("", "letters", messages).await?;
    // Behind the tenant and the number there is the attempt.
    let key = |text: &str| text.rsplit_once(' ').map_or("", |(key, _)| key).to_owned();
    let seen = came(&vhost, 20).await?;
    let seen: BTreeSet<_> = seen.iter().map(|text| key(text)).collect();
    host.kill9()?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let mut left: BTreeSet<_> = (0..40)
        .flat_map(|number| ["a", "b", "c"].map(|tenant| format!("{tenant} {number}")))
        .collect();
    left.retain(|one| !seen.contains(one));
    vhost
        .take_until("out", |message| {
            left.remove(&key(&message.text()));
            left.is_empty()
        })
        .await?;
    eventually(
        "everything is settled",
        || vhost.ready("letters"),
        |ready| *ready == 0,
    )
    .await?;
    host.stop().await
}

/// Keys of the order and of the limit need not be the same: what waits for an earlier one of its key takes no place.
#[tokio::test]
async fn an_order_and_a_limit_hold_together() -> Result<()> {
    let keys = "concurrency = 8\nordered_by = \"header:key\"\n\
                concurrency_by = { key = \"header:tenant\", limit = 2 }\n\
                rate_by = { key = \"header:tenant\", rate = \"5000/s\", burst = 5 }\n\
                retry = { limit = 2, delays = [\"20ms\"] }";
    let toml = HiveToml::one("letters", "in-order", keys).queue("out", "");
    let (vhost, mut host) = consuming("by-key", toml).await?;
    let all = ["a", "b", "c", "d", "e", "f"];
    let tenant = |key: &str| match key {
        "a" | "b" | "c" => "one".to_owned(),
        _ => "two".to_owned(),
    };
    let each = 15;
    let message = |key: &str, number: i64| {
        Message::new("{}")
            .text_header("key", key)
            .text_header("tenant", &tenant(key))
            .header("number", number)
            .header("fails", i64::from(number % 5 == 3))
    };
    let messages = (0..each).flat_map(|number| all.map(|key| message(key, number)));
    vhost.publish_all("", "letters", messages).await?;
    let mut told = BTreeMap::<String, Vec<i64>>::new();
    for text in came(&vhost, all.len() * each as usize).await? {
        let mut words = text.split(' ');
        let key = words.next().context("a key")?.to_owned();
        let number = words.next().context("a number")?.parse()?;
        told.entry(key).or_default().push(number);
    }
    for (key, numbers) in told {
        assert_eq!(numbers, (0..each).collect::<Vec<_>>(), "of key {key}");
    }
    let (most, of_all) = most_at_once(&host, tenant);
    assert!(most.values().all(|most| *most <= 2), "{most:?}");
    assert!(of_all > 2, "tenants waited for one another");
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// A repeat is acknowledged and holds nobody up, though its key has one place.
#[tokio::test]
async fn a_repeat_gives_its_place_back() -> Result<()> {
    let keys = "concurrency = 4\ndedup = { key = \"message-id\" }\n\
                concurrency_by = { key = \"header:tenant\", limit = 1 }";
    let (vhost, mut host) = consuming("by-key", echo(keys)).await?;
    let message = |number: i64| {
        of("a", number).with(|properties| properties.with_message_id(number.to_string().into()))
    };
    let messages = [0, 0, 1, 1, 0, 2].map(message);
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 3).await?, ["a 0", "a 1", "a 2"]);
    let repeats = r#"hive_deliveries_total{consumer="letters",outcome="duplicate"}"#;
    eventually(
        "the repeats are known",
        || host.metric(repeats),
        |seen| *seen == 3.0,
    )
    .await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

/// A failure spends its retry, and the next of its key goes at once.
#[tokio::test]
async fn a_retry_leaves_its_place_to_the_next() -> Result<()> {
    let keys = "concurrency = 2\nconcurrency_by = { key = \"header:tenant\", limit = 1 }\n\
                retry = { limit = 1, delays = [\"1h\"] }";
    let toml = HiveToml::one("letters", "in-order", keys).queue("out", "");
    let (vhost, mut host) = consuming("by-key", toml).await?;
    let messages = [of("a", 0).header("fails", 1), of("a", 1), of("a", 2)];
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 2).await?, ["a 1 1", "a 2 1"]);
    vhost.wait_ready("letters.retry.1h", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_prefetch_that_is_full_of_one_key_is_reported() -> Result<()> {
    let keys = format!("concurrency = 2\nprefetch = 8\n{ONE_EACH}");
    let (vhost, mut host) = consuming("by-key", echo(&keys)).await?;
    let messages = (0..12).map(|number| of("a", number));
    vhost.publish_all("", "letters", messages).await?;
    assert_eq!(came(&vhost, 1).await?, ["a 0"]);
    wait_limited(&host, 8).await?;
    host.wait_for_event("consumer.limited_fill_prefetch", &[("limited", "8")])
        .await?;
    let letters = letters_of(&host).await?;
    assert_eq!(letters["limited"]["fills_the_prefetch"], true, "{letters}");
    assert_eq!(host.count_events("consumer.limited_fill_prefetch", &[]), 1);
    host.stop().await?;
    vhost.wait_ready("letters", 11).await
}
