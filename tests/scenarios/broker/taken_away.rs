//! Queues and exchanges that somebody deletes, fills, or makes anew in another way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, User, Vhost, eventually};
use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::broker::healing::{assert_consumes, echo};
use crate::{assert_settled, consuming};

const MANY: usize = 50;

fn numbered() -> impl Iterator<Item = Message> {
    (0..MANY).map(|number| Message::new(number.to_string()))
}

fn bodies(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().map(Message::text).collect()
}

/// Takes from `out` until each of these came so many times. One may come more often: a quorum queue dead-letters at least
/// once (RabbitMQ's documentation, "Quorum Queues").
async fn assert_came(vhost: &Vhost, expected: &BTreeSet<String>, times: usize) -> Result<()> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    while seen.len() < expected.len() || seen.values().any(|count| *count < times) {
        let came = vhost.take_one("out").await?.text();
        assert!(expected.contains(&came), "nobody sent {came:?}");
        *seen.entry(came).or_default() += 1;
    }
    Ok(())
}

/// A queue of this kind that holds one message and refuses the next.
fn room_for_one(kind: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text(kind));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

/// Makes a queue anew as a classic one, while the user of the host cannot connect.
async fn replace(vhost: &Vhost, user: &User<'_>, queue: &str) -> Result<()> {
    user.shut_out()?;
    user.close_connections().await?;
    vhost.delete_queue(queue).await?;
    vhost.declare_queue(queue, "classic").await?;
    user.permit(".*", ".*", ".*")
}

#[tokio::test]
async fn s31_a_queue_made_anew_in_another_way_is_told_and_declared_once_it_is_gone() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("anew").await?;
    let user = User::new(broker, &vhost)?;
    let host = HostProcess::run_at(&user.url(), &echo()).await?;
    for queue in ["letters", "letters.retry.100ms"] {
        assert_consumes(&vhost, &format!("before {queue}")).await?;
        replace(&vhost, &user, queue).await?;
        let line = host
            .wait_for_event_naming("topology.mismatch", &format!("queue {queue:?} ("))
            .await?;
        for side in [
            "x-queue-type = quorum",
            "406 PRECONDITION_FAILED - inequivalent arg",
        ] {
            assert!(line.names(side), "`{side}` is not told: {line}");
        }
        vhost.delete_queue(queue).await?;
        let look = async || vhost.consumers("letters").await;
        eventually("it consumes again", look, |consumers| *consumers == 1).await?;
    }
    assert_consumes(&vhost, "after").await
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_deleted_or_full_or_somebody_elses_loses_nothing() -> Result<()>
{
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("dead").await?;
    let user = User::new(broker, &vhost)?;
    let toml = HiveToml::one("letters", "fail", "retry = { limit = 0 }")
        .connection(r#"reconnect = { first = "50ms", max = "500ms" }"#);
    let mut host = HostProcess::run_at(&user.url(), &toml).await?;

    vhost.delete_queue("letters.dead").await?;
    vhost.publish_all("", "letters", numbered()).await?;
    let dead = vhost.take("letters.dead", MANY).await?;
    assert_eq!(bodies(&dead), bodies(&Vec::from_iter(numbered())));

    vhost.delete_queue("letters.dead").await?;
    vhost
        .declare_queue_with("letters.dead", room_for_one("classic"))
        .await?;
    user.close_connections().await?;
    host.wait_for_events("consumer.subscribed", &[("consumer", "letters")], 2)
        .await?;
    let two = ["one", "other"].map(Message::new);
    vhost.publish_all("", "letters", two.clone()).await?;
    // Others may have been kept before, while the queue was gone.
    host.wait_for_event_naming("delivery.kept", "full").await?;
    let mut dead = vec![vhost.take_one("letters.dead").await?];
    dead.push(vhost.take_one("letters.dead").await?);
    assert_eq!(bodies(&dead), bodies(&two));
    let attempts: Vec<_> = dead
        .iter()
        .map(|dead| dead.number_of("x-hive-attempts"))
        .collect();
    assert_eq!(attempts, [Some(1), Some(1)]);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_delay_queue_that_is_deleted_or_full_while_many_fail_loses_nothing() -> Result<()> {
    // A limit of one: a retry that a full queue cost would be seen as a dead letter.
    let keys = r#"retry = { limit = 1, delays = ["1s"] }"#;
    let toml = HiveToml::one("letters", "fail-until", keys).queue("out", "");
    let (vhost, mut host) = consuming("delay", toml).await?;
    let failing_once = || numbered().map(|message| message.header("until", 2_i64));
    let expected: BTreeSet<String> = (0..MANY)
        .map(|number| format!("attempt 2 of {number}"))
        .collect();

    vhost.delete_queue("letters.retry.1s").await?;
    vhost.publish_all("", "letters", failing_once()).await?;
    assert_came(&vhost, &expected, 1).await?;

    let policy = format!("/policies/{}/full", vhost.name());
    let full = json!({
        "pattern": r"^letters\.retry", "apply-to": "queues", "definition": {"max-length": 1}
    });
    vhost.management().put(&policy, &full)?;
    // The broker applies a policy a while after it has taken it; until then none is refused.
    let kept = || {
        let events = host.events();
        let for_a_full_queue = events
            .iter()
            .filter(|event| event.is("delivery.kept", &[]) && event.names("full"));
        for_a_full_queue.count()
    };
    // While the queue was gone some may have been kept, with words about a full one.
    let before = kept();
    let mut times = 0;
    while kept() == before {
        vhost.publish_all("", "letters", failing_once()).await?;
        times += 1;
        let look = async || Ok((kept(), vhost.ready("out").await?));
        let is_over = |(kept, out): &(usize, u32)| *kept > before || *out as usize >= times * MANY;
        eventually("one is kept, or all came through", look, is_over).await?;
    }
    vhost.management().delete(&policy)?;
    assert_came(&vhost, &expected, times).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_exchange_that_is_deleted_and_made_again_gets_what_was_published_meanwhile() -> Result<()>
{
    let keys = r#"retry = { limit = 1000, delays = ["200ms"] }"#;
    let toml = HiveToml::one("letters", "publish", keys).queue("out", "");
    let (vhost, mut host) = consuming("exchange", toml).await?;
    let to_post = || numbered().map(|message| message.text_header("exchange", "post"));
    let expected = bodies(&Vec::from_iter(to_post()));
    make_post(&vhost).await?;
    vhost.publish_all("", "letters", to_post()).await?;
    assert_eq!(bodies(&vhost.take("out", MANY).await?), expected);

    let post = format!("/exchanges/{}/post", vhost.name());
    vhost.management().delete(&post)?;
    vhost.publish_all("", "letters", to_post()).await?;
    host.wait_for_event_naming("delivery.settled", "post")
        .await?;
    make_post(&vhost).await?;
    // The broker closes the channel over a missing exchange, and what was on its way then is published
    // again: some may come twice.
    let mut seen = BTreeSet::new();
    while seen.len() < MANY {
        seen.insert(vhost.take_one("out").await?.text());
    }
    assert_eq!(seen, expected);
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

async fn make_post(vhost: &Vhost) -> Result<()> {
    vhost.declare_exchange("post", ExchangeKind::Direct).await?;
    vhost.bind("out", "post", "out").await
}

/// Three publishers on one connection, each with good and bad ones in one batch.
#[tokio::test]
async fn of_good_and_bad_publications_interleaved_exactly_the_bad_ones_fail() -> Result<()> {
    const QUEUES: [&str; 3] = ["a", "b", "c"];
    const BAD: usize = 2 * MANY / 5;
    let keys = "concurrency = 8\nretry = { limit = 1, delays = [\"50ms\"] }";
    let mut toml = HiveToml::new().queue("out", "").component("publish", "");
    for queue in QUEUES {
        toml = toml.queue(queue, "").consumer(queue, "publish", keys);
    }
    let (vhost, mut host) = consuming("interleaved", toml).await?;
    for queue in QUEUES {
        let messages = (0..MANY).map(|number| {
            let message = |what| Message::new(format!("{what} {number} of {queue}"));
            match number % 5 {
                1 => message("bad").text_header("exchange", "not.there"),
                3 => message("bad").text_header("routing-key", "no.queue"),
                _ => message("good"),
            }
        });
        vhost.publish_all("", queue, messages).await?;
    }
    for queue in QUEUES {
        let mut seen = BTreeSet::new();
        while seen.len() < BAD {
            let dead = vhost.take_one(&format!("{queue}.dead")).await?;
            assert!(dead.text().starts_with("bad"), "{}", dead.text());
            assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
            seen.insert(dead.text());
        }
    }
    for queue in QUEUES {
        vhost.wait_ready(queue, 0).await?;
    }
    assert_settled(&vhost, &mut host, "a").await?;
    for queue in QUEUES {
        for dead in vhost.drain(&format!("{queue}.dead")).await? {
            assert!(dead.text().starts_with("bad"), "{}", dead.text());
        }
    }
    // The broker closes the channel over a missing exchange, and what was on its way then is published
    // again: some may be there twice.
    let good = bodies(&vhost.drain("out").await?);
    assert_eq!(good.len(), QUEUES.len() * (MANY - BAD));
    assert!(good.iter().all(|body| body.starts_with("good")));
    Ok(())
}
