//! `dedup`: a message whose key was handled is not handled again, with every store.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Proxy, RedisServer, Stores, Vhost, eventually,
    eventually_within, example, example_component, scratch,
};

use crate::{assert_settled, consuming};

const BY_ID: &str = "dedup = { key = \"message-id\" }";

/// One consumer of the queue `letters` that tells the queue `out`.
fn once(consumer_keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("once", "timeout = \"60s\"\nconfig = { run = \"run\" }")
        .consumer("letters", "once", consumer_keys)
}

fn known_as(id: &str, body: &str) -> Message {
    Message::new(body).with(|properties| properties.with_message_id(id.into()))
}

fn outcome(outcome: &str) -> String {
    format!("hive_deliveries_total{{consumer=\"letters\",outcome=\"{outcome}\"}}")
}

/// Waits until so many deliveries left the host by that way.
async fn wait_outcome(host: &HostProcess, way: &str, count: f64) -> Result<()> {
    let series = outcome(way);
    let what = format!("{count} deliveries were {way}");
    eventually(&what, || host.metric(&series), |seen| *seen == count).await?;
    Ok(())
}

/// What came to `out`, sorted: which of several was handled first is nobody's promise.
async fn told(vhost: &Vhost) -> Result<Vec<String>> {
    let mut told: Vec<String> = vhost
        .drain("out")
        .await?
        .iter()
        .map(Message::text)
        .collect();
    told.sort();
    Ok(told)
}

#[tokio::test]
async fn s34_a_key_is_handled_once_within_its_period() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let toml = once(BY_ID).section("store", &store);
        let (vhost, mut host) = consuming("dedup", toml).await?;
        let messages = ["a", "b", "a", "a", "c", "b"].map(|id| known_as(id, id));
        vhost.publish_all("", "letters", messages).await?;
        wait_outcome(&host, "duplicate", 3.0).await?;
        wait_outcome(&host, "acked", 3.0).await?;
        assert_eq!(told(&vhost).await?, ["run a", "run b", "run c"], "{name}");
        let keys = "hive_dedup_keys{consumer=\"letters\",of=\"deliveries\"}";
        eventually(
            "three keys are kept",
            || host.metric(keys),
            |kept| *kept == 3.0,
        )
        .await?;
        assert_settled(&vhost, &mut host, "letters").await?;
    }
    Ok(())
}

#[tokio::test]
async fn s34_a_key_is_handled_again_after_its_period() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let keys = "dedup = { key = \"message-id\", period = \"1s\" }";
        let (vhost, _host) = consuming("dedup", once(keys).section("store", &store)).await?;
        vhost.publish("", "letters", known_as("a", "first")).await?;
        assert_eq!(vhost.take_one("out").await?.text(), "run first", "{name}");
        // Each that comes too early is dropped, and does not make the period longer.
        let again = async || {
            vhost.publish("", "letters", known_as("a", "again")).await?;
            vhost.ready("out").await
        };
        eventually("it is handled again", again, |ready| *ready > 0).await?;
        assert_eq!(vhost.take_one("out").await?.text(), "run again", "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn s34_a_failed_attempt_does_not_make_the_next_one_a_duplicate() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let keys = format!("{BY_ID}\nretry = {{ limit = 0 }}");
        let (vhost, host) = consuming("dedup", once(&keys).section("store", &store)).await?;
        let failing = known_as("a", "bad").header("fail", true);
        vhost.publish("", "letters", failing.clone()).await?;
        vhost.publish("", "letters", failing).await?;
        vhost.wait_ready("letters.dead", 2).await?;
        vhost.publish("", "letters", known_as("a", "good")).await?;
        assert_eq!(vhost.take_one("out").await?.text(), "run good", "{name}");
        vhost.publish("", "letters", known_as("a", "late")).await?;
        wait_outcome(&host, "duplicate", 1.0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s34_a_retry_is_no_duplicate_of_its_original() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let keys = format!("{BY_ID}\nretry = {{ limit = 3, delays = [\"100ms\"] }}");
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component("fail-until", "")
            .consumer("letters", "fail-until", &keys)
            .section("store", &store);
        let (vhost, host) = consuming("dedup", toml).await?;
        let message = known_as("a", "letter").header("until", 3_i64);
        vhost.publish("", "letters", message.clone()).await?;
        let came = vhost.take_one("out").await?.text();
        assert_eq!(came, "attempt 3 of letter", "{name}");
        vhost.publish("", "letters", message).await?;
        wait_outcome(&host, "duplicate", 1.0).await?;
        assert_eq!(host.metric(&outcome("retried")).await?, 2.0);
    }
    Ok(())
}

#[tokio::test]
async fn s34_a_message_without_the_key_is_never_a_duplicate() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let (vhost, _host) = consuming("dedup", once(BY_ID).section("store", &store)).await?;
        let same = || Message::new("same");
        vhost
            .publish_all("", "letters", [same(), same(), known_as("", "same")])
            .await?;
        let came = vhost.take("out", 3).await?;
        assert!(came.iter().all(|one| one.text() == "run same"), "{name}");
    }
    Ok(())
}

/// Of three messages the second is a repeat of the first by `key`, and the third is not.
async fn assert_key(key: &str, messages: [Message; 3]) -> Result<()> {
    let toml = once(&format!("dedup = {{ key = {key} }}")).section("store", "kind = \"memory\"");
    let (vhost, host) = consuming("dedup", toml).await?;
    vhost.publish_all("", "letters", messages).await?;
    wait_outcome(&host, "acked", 2.0)
        .await
        .with_context(|| key.to_owned())?;
    wait_outcome(&host, "duplicate", 1.0)
        .await
        .with_context(|| key.to_owned())
}

#[tokio::test]
async fn a_key_is_a_header_a_place_in_the_body_several_or_the_body() -> Result<()> {
    let order = |number: i64| Message::new(format!("{number}")).header("order", number);
    let text = Message::new("other").text_header("order", "7");
    assert_key("\"header:order\"", [order(7), text, order(8)]).await?;
    let json = |body: &str| Message::new(body);
    let places = [
        json(r#"{"order":{"id":"a"},"time":1}"#),
        json(r#"{"time":2,"order":{"id":"a"}}"#),
        json(r#"{"order":{"id":"b"},"time":1}"#),
    ];
    assert_key("\"json:/order/id\"", places).await?;
    let several = [
        json(r#"{"shop":"ab","order":"c","x":1}"#),
        json(r#"{"shop":"ab","order":"c","x":2}"#),
        json(r#"{"shop":"a","order":"bc"}"#),
    ];
    assert_key("[\"json:/shop\", \"json:/order\"]", several).await?;
    let bodies = [
        known_as("1", "same"),
        known_as("2", "same"),
        known_as("1", "other"),
    ];
    assert_key("\"body\"", bodies).await
}

#[tokio::test]
async fn of_two_at_once_the_second_waits_aside_and_is_not_handled() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let keys = format!("{BY_ID}\nconcurrency = 2");
        let (vhost, host) = consuming("dedup", once(&keys).section("store", &store)).await?;
        let slow = known_as("a", "slow").header("sleep-ms", 2000_i64);
        vhost
            .publish_all("", "letters", [slow.clone(), slow, known_as("b", "quick")])
            .await?;
        // It has no worker while it waits: there are two, and one is asleep.
        assert_eq!(vhost.take_one("out").await?.text(), "run quick", "{name}");
        assert_eq!(
            host.metric(&outcome("duplicate")).await?,
            0.0,
            "{name}: it waits"
        );
        assert_eq!(vhost.take_one("out").await?.text(), "run slow", "{name}");
        wait_outcome(&host, "duplicate", 1.0).await?;
        assert_eq!(host.count_printed("started slow"), 1, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_at_once_the_second_is_handled_where_the_first_failed() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let keys = format!("{BY_ID}\nconcurrency = 2\nretry = {{ limit = 0 }}");
        let (vhost, _host) = consuming("dedup", once(&keys).section("store", &store)).await?;
        let first = known_as("a", "first").header("sleep-ms", 1000_i64);
        let second = known_as("a", "second");
        vhost
            .publish_all("", "letters", [first.header("fail", true), second])
            .await?;
        assert_eq!(vhost.take_one("out").await?.text(), "run second", "{name}");
        assert_eq!(
            vhost.take_one("letters.dead").await?.text(),
            "first",
            "{name}"
        );
    }
    Ok(())
}

/// A hive.toml in a folder of its own, for hosts that come one after the other.
fn in_folder(vhost: &Vhost, toml: &HiveToml) -> Result<PathBuf> {
    let file = scratch("dedup").join("hive.toml");
    std::fs::write(&file, toml.text(vhost))?;
    Ok(file)
}

#[tokio::test]
async fn what_was_handled_is_known_after_a_restart_for_as_long_as_the_store_keeps_it() -> Result<()>
{
    let stores = Stores::new().await?;
    let forever = "dedup = { key = \"message-id\", period = \"forever\" }";
    for (name, store) in stores.lasting() {
        let vhost = Broker::shared().await?.vhost("dedup").await?;
        let file = in_folder(&vhost, &once(forever).section("store", &store))?;
        vhost.declare_queue("letters", "quorum").await?;
        let mut host = HostProcess::launch_file(&file, &[])?;
        vhost.publish("", "letters", known_as("a", "first")).await?;
        wait_outcome(&host, "acked", 1.0).await?;
        host.stop().await?;

        let mut host = HostProcess::launch_file(&file, &[])?;
        vhost
            .publish("", "letters", known_as("a", "second"))
            .await?;
        vhost.publish("", "letters", known_as("b", "third")).await?;
        wait_outcome(&host, "acked", 1.0).await?;
        wait_outcome(&host, "duplicate", 1.0).await?;
        host.kill9()?;

        let host = HostProcess::launch_file(&file, &[])?;
        let late = [known_as("a", "fourth"), known_as("b", "fifth")];
        vhost.publish_all("", "letters", late).await?;
        // An ack that was on its way when the host was killed comes to one more.
        let duplicates = outcome("duplicate");
        eventually(
            "both are known",
            || host.metric(&duplicates),
            |seen| *seen >= 2.0,
        )
        .await?;
        assert_eq!(told(&vhost).await?, ["run first", "run third"], "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn the_oldest_key_is_forgotten_for_one_too_many() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.lasting() {
        let keys = "dedup = { key = \"message-id\", period = \"forever\", max_keys = 3 }";
        let (vhost, host) = consuming("dedup", once(keys).section("store", &store)).await?;
        for id in ["a", "b", "c", "d"] {
            vhost.publish("", "letters", known_as(id, id)).await?;
            assert_eq!(
                vhost.take_one("out").await?.text(),
                format!("run {id}"),
                "{name}"
            );
        }
        wait_outcome(&host, "acked", 4.0).await?;
        vhost.publish("", "letters", known_as("d", "d")).await?;
        wait_outcome(&host, "duplicate", 1.0).await?;
        vhost.publish("", "letters", known_as("a", "a")).await?;
        assert_eq!(
            vhost.take_one("out").await?.text(),
            "run a",
            "{name}: it was the oldest"
        );
    }
    Ok(())
}

#[tokio::test]
async fn hosts_that_share_a_redis_know_what_the_others_handle() -> Result<()> {
    let redis = RedisServer::start().await?;
    let vhost = Broker::shared().await?.vhost("dedup").await?;
    let toml = once(&format!("{BY_ID}\nprefetch = 1")).section("store", &redis.store());
    let one = HostProcess::run(&vhost, &toml).await?;
    let other = HostProcess::run(&vhost, &toml).await?;
    let slow = known_as("a", "slow").header("sleep-ms", 2000_i64);
    vhost
        .publish_all("", "letters", [slow.clone(), slow])
        .await?;
    let series = outcome("duplicate");
    let duplicates = async || Ok(one.metric(&series).await? + other.metric(&series).await?);
    eventually("the second was dropped", duplicates, |seen| *seen == 1.0).await?;
    assert_eq!(told(&vhost).await?, ["run slow"]);
    let started = one.count_printed("started slow") + other.count_printed("started slow");
    assert_eq!(started, 1);
    Ok(())
}

#[tokio::test]
async fn the_claim_of_a_killed_host_does_not_hold_up_another_for_long() -> Result<()> {
    let redis = RedisServer::start().await?;
    let vhost = Broker::shared().await?.vhost("dedup").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("slow-once", "timeout = \"5m\"")
        .consumer("letters", "slow-once", BY_ID)
        .section("store", &redis.store());
    let mut killed = HostProcess::run(&vhost, &toml).await?;
    vhost
        .publish("", "letters", known_as("a", "240000"))
        .await?;
    killed.wait_for_printed("attempt 1 of 240000").await?;
    let other = HostProcess::run(&vhost, &toml).await?;
    killed.kill9()?;
    assert_eq!(vhost.take_one("out").await?.text(), "240000");
    wait_outcome(&other, "acked", 1.0).await
}

#[tokio::test]
async fn a_redis_that_is_away_costs_no_message_and_no_retry() -> Result<()> {
    let redis = RedisServer::start().await?;
    let keys = format!("{BY_ID}\nretry = {{ limit = 0 }}");
    let toml = once(&keys).section("store", &redis.store());
    let (vhost, mut host) = consuming("dedup", toml).await?;
    vhost
        .publish("", "letters", known_as("a", "before"))
        .await?;
    wait_outcome(&host, "acked", 1.0).await?;
    redis.kill9()?;
    vhost
        .publish("", "letters", known_as("b", "meanwhile"))
        .await?;
    let kept = "hive_deliveries_kept{consumer=\"letters\"}";
    eventually("it is kept", || host.metric(kept), |kept| *kept == 1.0).await?;
    redis.restart().await?;
    vhost.publish("", "letters", known_as("a", "again")).await?;
    wait_outcome(&host, "acked", 2.0).await?;
    wait_outcome(&host, "duplicate", 1.0).await?;
    assert_eq!(told(&vhost).await?, ["run before", "run meanwhile"]);
    assert!(!host.mentions("s3cret"), "the password of the store");
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_ends_the_start_with_the_key_and_without_the_password()
-> Result<()> {
    let redis = RedisServer::start().await?;
    let vhost = Broker::shared().await?.vhost("dedup").await?;
    let store = format!("kind = \"redis\"\nurl = \"{}\"", redis.url_with("wr0ng"));
    let mut host = HostProcess::launch(&once(BY_ID).section("store", &store).text(&vhost))?;
    assert_eq!(host.wait().await?.code(), Some(1));
    let lines = host.lines_to_the_end().join("\n");
    assert!(
        lines.contains("`store.url`") && !lines.contains("wr0ng"),
        "{lines}"
    );
    redis.kill9()?;
    let toml = once(BY_ID).section("store", &redis.store());
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    assert_eq!(host.wait().await?.code(), Some(1));
    let lines = host.lines_to_the_end().join("\n");
    assert!(
        lines.contains("does not answer") && !lines.contains("s3cret"),
        "{lines}"
    );
    Ok(())
}

#[tokio::test]
async fn a_publication_whose_key_went_out_is_not_published_again() -> Result<()> {
    let stores = Stores::new().await?;
    for (name, store) in stores.all() {
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component("slow", "")
            .consumer(
                "letters",
                "slow",
                "publish_dedup = { key = \"header:order\" }",
            )
            .section("store", &store);
        let (vhost, mut host) = consuming("dedup", toml).await?;
        let order = |id: &str, order: i64| known_as(id, "0").header("order", order);
        let messages = [
            order("1", 7),
            order("2", 7),
            order("3", 8),
            known_as("4", "0"),
            order("5", 7),
        ];
        vhost.publish_all("", "letters", messages).await?;
        wait_outcome(&host, "acked", 5.0).await?;
        let mut ids: Vec<String> = vhost
            .drain("out")
            .await?
            .iter()
            .map(|m| m.id().to_owned())
            .collect();
        ids.sort();
        assert_eq!(ids, ["1", "3", "4"], "{name}");
        let series = "hive_publications_total{consumer=\"letters\",result=\"duplicate\"}";
        assert_eq!(host.metric(series).await?, 2.0, "{name}");
        assert_settled(&vhost, &mut host, "letters").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_publication_that_failed_is_published_by_the_retry() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("publish", "")
        .consumer(
            "letters",
            "publish",
            "publish_dedup = { key = \"message-id\" }\nretry = { limit = 9, delays = [\"300ms\"] }",
        );
    let (vhost, host) = consuming("dedup", toml).await?;
    // Nobody has made its queue yet.
    vhost
        .publish("", "letters", known_as("a", "letter"))
        .await?;
    host.wait_for_event("delivery.settled", &[("outcome", "retried")])
        .await?;
    vhost.declare_queue("out", "quorum").await?;
    let came = vhost.take_one("out").await?;
    assert_eq!((came.text().as_str(), came.id()), ("letter", "a-0"));
    // The same delivery once more publishes nothing more.
    vhost
        .publish("", "letters", known_as("a", "letter"))
        .await?;
    wait_outcome(&host, "acked", 2.0).await?;
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_publication_that_fails_behind_a_repeat_is_told_by_its_own_place() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("publish", "")
        .consumer(
            "letters",
            "publish",
            "publish_dedup = { key = \"message-id\" }\nretry = { limit = 0 }",
        );
    let (vhost, host) = consuming("dedup", toml).await?;
    let letter = known_as("a", "letter").text_header("routing-key", "out");
    vhost.publish("", "letters", letter.clone()).await?;
    wait_outcome(&host, "acked", 1.0).await?;
    let further = letter.text_header("second-routing-key", "nowhere");
    vhost.publish("", "letters", further).await?;
    let dead = vhost.take_one("letters.dead").await?;
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    assert!(error.contains("publication 2 of 2"), "{error}");
    assert_eq!(vhost.ready("out").await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_handed_out_again_while_it_is_in_hand_is_not_handled_twice() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("dedup").await?;
    let proxy = Proxy::start(broker.port())?;
    let toml = once(&format!("{BY_ID}\nconcurrency = 2"));
    let host = HostProcess::run_at(&vhost.url_through(&proxy), &toml).await?;
    let slow = known_as("a", "slow").header("sleep-ms", 4000_i64);
    vhost.publish("", "letters", slow).await?;
    host.wait_for_printed("started slow").await?;
    proxy.cut();
    wait_outcome(&host, "duplicate", 1.0).await?;
    assert_eq!(told(&vhost).await?, ["run slow"]);
    assert_eq!(host.count_printed("started slow"), 1);
    assert_eq!(host.metric(&outcome("lost")).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_host_that_stops_gives_back_what_waits_for_another() -> Result<()> {
    let toml = once(&format!("{BY_ID}\nconcurrency = 2")).section("store", "kind = \"memory\"");
    let (vhost, mut host) = consuming("dedup", toml).await?;
    let slow = known_as("a", "slow").header("sleep-ms", 3000_i64);
    vhost
        .publish_all("", "letters", [slow.clone(), slow])
        .await?;
    host.wait_for_printed("started slow").await?;
    host.stop().await?;
    assert_eq!(
        told(&vhost).await?,
        ["run slow"],
        "what was begun was finished"
    );
    let within = Duration::from_secs(10);
    let back = || vhost.ready("letters");
    eventually_within(within, "the other one is back", back, |ready| *ready == 1).await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_example_dedup_books_each_payment_once() -> Result<()> {
    example_component("payments");
    let folder = example("dedup");
    let vhost = Broker::shared().await?.vhost("dedup").await?;
    let store = scratch("payments").join("hive.db");
    let (url, store) = (vhost.url(), store.display().to_string());
    let variables = [
        ("RABBITMQ_URL", url.as_str()),
        ("HIVE_STORE", store.as_str()),
    ];
    let sample = |name: &str| -> Result<Message> {
        Ok(Message::new(std::fs::read(
            folder.join("messages").join(name),
        )?))
    };
    let mut host = HostProcess::launch_file(&folder.join("hive.toml"), &variables)?;
    host.wait_for_start().await?;
    for name in [
        "1-payment.json",
        "2-the-same-again.json",
        "3-another-shop.json",
        "4-no-payment.json",
    ] {
        vhost.publish("", "payments", sample(name)?).await?;
    }
    vhost.wait_ready("payments.dead", 1).await?;
    vhost.wait_ready("payments.booked", 2).await?;
    assert_settled(&vhost, &mut host, "payments").await?;

    let mut host = HostProcess::launch_file(&folder.join("hive.toml"), &variables)?;
    vhost
        .publish("", "payments", sample("1-payment.json")?)
        .await?;
    vhost
        .publish("", "payments", sample("4-no-payment.json")?)
        .await?;
    vhost.wait_ready("payments.dead", 2).await?;
    assert_settled(&vhost, &mut host, "payments").await?;
    let booked: Vec<String> = vhost
        .drain("payments.booked")
        .await?
        .iter()
        .map(Message::text)
        .collect();
    assert_eq!(booked.len(), 2, "{booked:?}");
    Ok(())
}
