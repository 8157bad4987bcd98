//! `hive-host dead`: what it finds in a dead-letter queue, and that looking changes nothing.

use anyhow::{Context, Result};
use hive_tests::{Broker, Commands, Finished, HiveToml, HostProcess, Message, Version, Vhost};
use lapin::ExchangeKind;
use lapin::options::{BasicGetOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::consuming;

/// Two consumers that fail in ways of their own, into one dead-letter queue.
fn graveyard() -> HiveToml {
    let keys = r#"retry = { limit = 0, dead_letter = "graveyard" }"#;
    HiveToml::new()
        .queue("letters", "")
        .queue("parcels", "")
        .component("reject", "")
        .component("fail", "")
        .consumer("letters", "reject", keys)
        .consumer("parcels", "fail", keys)
}

/// Four letters and two parcels in the graveyard, in this order; no host runs any more.
async fn buried() -> Result<(Vhost, Commands)> {
    let (vhost, mut host) = consuming("dead", graveyard()).await?;
    for number in 1..=6_u32 {
        let queue = match number {
            2 | 5 => "parcels",
            _ => "letters",
        };
        let message = Message::new(format!("{{\"number\":{number}}}"))
            .with(|properties| properties.with_message_id(format!("m-{number}").into()))
            .text_header("parity", if number % 2 == 0 { "even" } else { "odd" })
            .header("weight", i64::from(number) * 10);
        vhost.publish("", queue, message).await?;
        vhost.wait_ready("graveyard", number).await?;
    }
    host.stop().await?;
    let commands = Commands::on(&vhost, &graveyard())?;
    Ok((vhost, commands))
}

/// The numbers of the messages that `conditions` leave.
async fn matching(commands: &Commands, conditions: &[&str]) -> Result<Vec<u64>> {
    let conditions = conditions.iter().flat_map(|one| ["--where", one]);
    let arguments: Vec<&str> = ["graveyard", "--json"]
        .into_iter()
        .chain(conditions)
        .collect();
    let listed = commands.run(&["dead", "list"], &arguments).await?;
    let listed = listed.json_lines()?;
    Ok(listed
        .iter()
        .filter_map(|one| one["number"].as_u64())
        .collect())
}

async fn bodies(vhost: &Vhost, queue: &str) -> Result<Vec<String>> {
    let found = vhost.drain(queue).await?;
    Ok(found.iter().map(Message::text).collect())
}

fn assert_done(finished: &Finished, words: &str) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains(words), "{finished:?}");
}

/// A dead-letter queue that somebody declared without a word about a limit.
#[tokio::test]
async fn looks_at_a_queue_with_the_brokers_limit_cost_nothing_or_are_refused() -> Result<()> {
    const LETTERS: u32 = 10;
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("looks").await?;
    vhost.declare_queue("graveyard", "quorum").await?;
    let letters = (0..LETTERS).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "graveyard", letters).await?;
    let commands = Commands::on(&vhost, &graveyard())?;
    if broker.version() == Version::V4_0 {
        let listed = commands.run(&["dead", "list"], &["graveyard"]).await?;
        assert_eq!(listed.code, Some(1), "{listed:?}");
        for word in ["more than 20 times", "rabbitmqctl set_policy", "--counted"] {
            assert!(listed.stderr.contains(word), "{listed:?}");
        }
        for left in ["19 more", "18 more"] {
            let counted = commands
                .run(&["dead", "list"], &["graveyard", "--counted"])
                .await?;
            assert_done(&counted, "10 listed");
            assert!(counted.stderr.contains(left), "{counted:?}");
        }
    } else {
        for look in 1..=25 {
            let listed = commands.run(&["dead", "list"], &["graveyard"]).await?;
            assert_done(&listed, "10 listed");
            assert_eq!(listed.stderr, "", "look {look}");
        }
    }
    vhost.wait_ready("graveyard", LETTERS).await
}

/// Whatever its version, a queue that Hive declares, for dead letters or by hive.toml, can be looked at.
#[tokio::test]
async fn looks_at_what_hive_declares_cost_nothing() -> Result<()> {
    let toml = graveyard().queue("declared", "");
    let (vhost, mut host) = consuming("looks", toml.clone()).await?;
    host.stop().await?;
    let commands = Commands::on(&vhost, &toml)?;
    for queue in ["graveyard", "declared"] {
        vhost.publish("", queue, Message::new("hello")).await?;
        for look in 1..=25 {
            let listed = commands.run(&["dead", "list"], &[queue, "--exact"]).await?;
            assert_done(&listed, "1 listed");
            assert_eq!(listed.stderr, "", "look {look} at {queue}");
        }
        vhost.wait_ready(queue, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_one_look_gives_back_the_next_one_finds() -> Result<()> {
    let (_vhost, commands) = buried().await?;
    // The broker says that a channel is closed before it counts what that gave back.
    for look in 1..=20 {
        let numbers = matching(&commands, &[]).await?;
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6], "look {look}");
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_is_not_called_empty_that_does_not_answer_the_broker() -> Result<()> {
    let (vhost, commands) = buried().await?;
    let broker = Broker::shared().await?;
    // Of a queue that answers so late the broker says that it has none.
    broker.delay_queue_answer(&vhost, "graveyard")?;
    assert_eq!(matching(&commands, &[]).await?, [1, 2, 3, 4, 5, 6]);

    broker.suspend_queue(&vhost, "graveyard")?;
    let listed = commands.run(&["dead", "list"], &["graveyard"]).await?;
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.stderr.contains("no answer within"), "{listed:?}");
    broker.resume_queue(&vhost, "graveyard")?;
    vhost.wait_ready("graveyard", 6).await
}

#[tokio::test]
async fn a_stream_is_refused_with_and_without_messages() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dead").await?;
    let commands = Commands::on(&vhost, &HiveToml::one("letters", "ack", ""))?;
    vhost.declare_queue("graves", "stream").await?;
    for messages in 0..=1 {
        vhost.wait_ready("graves", messages).await?;
        let listed = commands.run(&["dead", "list"], &["graves"]).await?;
        assert_eq!(listed.code, Some(1), "{listed:?}");
        assert!(listed.stderr.contains("is a stream"), "{listed:?}");
        vhost.publish("", "graves", Message::new("{}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_condition_finds_its_messages_and_changes_nothing() -> Result<()> {
    let (vhost, commands) = buried().await?;
    let cases: [(&[&str], &[u64]); 19] = [
        (&[], &[1, 2, 3, 4, 5, 6]),
        (&["reason=rejected"], &[1, 3, 4, 6]),
        (&["class!=rejected"], &[2, 5]),
        (&["error~cannot take"], &[2, 5]),
        (&["error=\"number\":5"], &[5]),
        (&["queue=parcels"], &[2, 5]),
        (&["consumer~letter"], &[1, 3, 4, 6]),
        (&["exchange="], &[1, 2, 3, 4, 5, 6]),
        (&["routing-key=parcels"], &[2, 5]),
        (&["message-id=m-3"], &[3]),
        (&["header:parity=even"], &[2, 4, 6]),
        (&["header:weight=40"], &[4]),
        (&["header:none!=x", "header:parity!=even"], &[1, 3, 5]),
        (&["header:parity=odd", "queue=letters"], &[1, 3]),
        (&["body~:6"], &[6]),
        (&["number=2"], &[2]),
        (&["attempts=1", "newer=1h"], &[1, 2, 3, 4, 5, 6]),
        (&["older=1h"], &[]),
        (&["before=2020-01-01"], &[]),
    ];
    for (conditions, numbers) in cases {
        assert_eq!(
            matching(&commands, conditions).await?,
            numbers,
            "{conditions:?}"
        );
    }
    let left: Vec<String> = (1..=6)
        .map(|number| format!("{{\"number\":{number}}}"))
        .collect();
    assert_eq!(bodies(&vhost, "graveyard").await?, left, "in their order");
    Ok(())
}

#[tokio::test]
async fn a_list_is_for_people_and_says_what_it_left_out() -> Result<()> {
    let (_vhost, commands) = buried().await?;
    // A queue that is consumed stands for its dead-letter queue, and so does a consumer.
    let listed = commands
        .run(&["dead", "list"], &["parcels", "--limit", "2"])
        .await?;
    assert_done(&listed, "2 listed of 6 in graveyard");
    let lines: Vec<&str> = listed.stdout.lines().collect();
    for word in [
        "#",
        "DIED",
        "REASON",
        "TRIES",
        "QUEUE",
        "MESSAGE-ID",
        "ERROR",
    ] {
        assert!(lines[0].contains(word), "{listed:?}");
    }
    for word in ["2", "Z", "error", "parcels", "m-2", "cannot take"] {
        assert!(lines[2].contains(word), "{listed:?}");
    }
    let none = commands
        .run(&["dead", "list"], &["graveyard", "--where", "reason=trap"])
        .await?;
    assert_done(&none, "none of the 6 messages in graveyard matches");
    let exact = commands
        .run(&["dead", "list"], &["letters", "--exact"])
        .await?;
    assert_done(&exact, "letters is empty");
    Ok(())
}

#[tokio::test]
async fn everything_of_a_message_is_shown() -> Result<()> {
    let (_vhost, commands) = buried().await?;
    let shown = commands
        .run(&["dead", "show"], &["graveyard", "--where", "number=5"])
        .await?;
    let parts = [
        "message 5 of graveyard",
        "class              error",
        "queue              parcels",
        "message-id         m-5",
        "header             parity = \"odd\"",
        "header             weight = 50",
        "12 bytes, JSON",
        "\"number\": 5",
        "1 shown of 6",
    ];
    for part in parts {
        assert_done(&shown, part);
    }
    let shown = commands
        .run(&["dead", "show"], &["graveyard", "--limit", "1", "--json"])
        .await?;
    let [message]: [Value; 1] = shown.json_lines()?.try_into().expect("one was asked for");
    assert_eq!(message["body"], "{\"number\":1}");
    assert_eq!(message["headers"], json!({ "parity": "odd", "weight": 10 }));
    assert_eq!(message["queue"], "graveyard");
    assert_eq!(message["dead"]["class"], "rejected");
    assert_eq!(message["dead"]["queue"], "letters");
    assert_eq!(message["dead"]["attempts"], 1);
    Ok(())
}

/// What stays goes back to where it was, on both kinds of queues.
#[tokio::test]
async fn what_is_left_behind_keeps_its_order() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dead").await?;
    for kind in ["classic", "quorum"] {
        let queue = format!("{kind}.dead");
        vhost.declare_queue(&queue, kind).await?;
        vhost.declare_queue(kind, kind).await?;
        let messages = (1..=5)
            .map(|number| Message::new(number.to_string()).text_header("x-hive-queue", kind));
        vhost.publish_all("", &queue, messages).await?;
        let commands = Commands::on(&vhost, &HiveToml::one(kind, "ack", ""))?;
        let conditions = ["--where", "number!=1", "--where", "body!=3", "--limit", "2"];
        // A queue that somebody made without a limit of none: 4.0 counts each look.
        let conditions = [&conditions[..], &["--counted"]].concat();
        let arguments = [&[kind][..], &conditions[..]].concat();
        let sent = commands.run(&["dead", "republish"], &arguments).await?;
        assert_done(&sent, "2 of 5 messages republished");
        assert_eq!(bodies(&vhost, kind).await?, ["2", "4"], "{kind}");
        assert_eq!(bodies(&vhost, &queue).await?, ["1", "3", "5"], "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn purging_takes_what_it_is_told_and_no_more() -> Result<()> {
    let (vhost, commands) = buried().await?;
    let purge = async |arguments: &[&str]| {
        let arguments = [&["graveyard"], arguments].concat();
        commands.run(&["dead", "purge"], &arguments).await
    };
    let refused = purge(&[]).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_done(
        &purge(&["--dry-run"]).await?,
        "6 would be deleted; nothing was changed",
    );
    assert_done(&purge(&["--limit", "0"]).await?, "0 of 6 messages deleted");
    assert_done(
        &purge(&["--where", "queue=parcels"]).await?,
        "2 of 6 messages deleted",
    );
    assert_done(&purge(&["--limit", "1"]).await?, "1 of 4 messages deleted");
    vhost.wait_ready("graveyard", 3).await?;
    assert_done(&purge(&["--yes"]).await?, "3 of 3 messages deleted");
    vhost.wait_ready("graveyard", 0).await?;
    Ok(())
}

/// A dead-letter queue that Hive had no part in: the broker's own record is what there is.
#[tokio::test]
async fn letters_that_the_broker_dead_lettered_go_home_too() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("foreign").await?;
    vhost.declare_exchange("shop", ExchangeKind::Topic).await?;
    vhost.declare_queue("foreign.dead", "classic").await?;
    let dead_lettering = |more: &[(&str, AMQPValue)]| {
        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text("foreign.dead"));
        for (name, value) in more {
            arguments.insert((*name).into(), value.clone());
        }
        arguments
    };
    vhost
        .declare_queue_with("orders", dead_lettering(&[]))
        .await?;
    vhost.bind("orders", "shop", "order.#").await?;
    let ttl = ("x-message-ttl", AMQPValue::LongInt(1));
    vhost
        .declare_queue_with("impatient", dead_lettering(&[ttl]))
        .await?;
    let message = |id: &str| {
        let id = id.to_owned();
        Message::new("hello").with(|properties| properties.with_message_id(id.into()))
    };
    vhost.publish("", "impatient", message("expired")).await?;
    vhost.wait_ready("foreign.dead", 1).await?;
    vhost
        .publish("shop", "order.made", message("rejected"))
        .await?;
    let channel = vhost.channel().await?;
    let got = channel
        .basic_get("orders".into(), BasicGetOptions::default())
        .await?;
    let got = got.context("it was just published")?;
    got.delivery.reject(BasicRejectOptions::default()).await?;
    vhost.wait_ready("foreign.dead", 2).await?;

    let commands = Commands::on(&vhost, &HiveToml::one("orders", "ack", ""))?;
    let listed = commands
        .run(&["dead", "list"], &["foreign.dead", "--json"])
        .await?;
    let listed = listed.json_lines()?;
    let facts = |one: &Value| {
        [
            "broker-reason",
            "queue",
            "exchange",
            "routing-key",
            "message-id",
        ]
        .map(|key| one[key].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(
        facts(&listed[0]),
        ["expired", "impatient", "", "impatient", "expired"]
    );
    assert_eq!(
        facts(&listed[1]),
        ["rejected", "orders", "shop", "order.made", "rejected"]
    );
    assert!(listed.iter().all(|one| one["time"].is_u64()), "{listed:?}");

    let arguments = ["foreign.dead", "--where", "reason=rejected"];
    let sent = commands.run(&["dead", "republish"], &arguments).await?;
    assert_done(
        &sent,
        "1 of 2 messages republished from foreign.dead: 1 to orders",
    );
    let back = vhost.take_one("orders").await?;
    assert_eq!(back.id(), "rejected");
    // Kept, it would make an older broker drop the message the next time.
    assert!(back.value("x-death").is_none(), "{back:?}");
    assert!(back.value("x-first-death-queue").is_none(), "{back:?}");
    let sent = commands
        .run(&["dead", "republish"], &["foreign.dead", "--to", "orders"])
        .await?;
    assert_done(&sent, "1 to orders");
    assert_eq!(vhost.take_one("orders").await?.id(), "expired");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_exit_code() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dead").await?;
    vhost.declare_queue("letters.dead", "quorum").await?;
    vhost
        .publish("", "letters.dead", Message::new("from nowhere"))
        .await?;
    let toml = HiveToml::one("letters", "ack", "");
    let commands = Commands::on(&vhost, &toml)?;
    let told = async |arguments: &[&str], code: i32, words: &str| {
        // What the command before looked at goes back a moment after it has left.
        vhost.wait_ready("letters.dead", 1).await?;
        let told = commands.run(&["dead", "republish"], arguments).await?;
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.stderr.contains(words), "{told:?}");
        anyhow::Ok(())
    };
    told(
        &["letters", "--where", "reasn=x"],
        2,
        "did you mean `reason`",
    )
    .await?;
    told(&["letters", "--to", "letters.dead"], 2, "name another").await?;
    told(
        &["letters", "--connection", "mian"],
        2,
        "did you mean `main`",
    )
    .await?;
    told(&["elsewhere"], 1, "there is no queue \"elsewhere\"").await?;
    told(&["letters"], 1, "name one with --to").await?;
    told(
        &["letters", "--to", "nowhere"],
        1,
        "there is no queue \"nowhere\"",
    )
    .await?;
    assert_eq!(vhost.take_one("letters.dead").await?.text(), "from nowhere");

    let wrong = toml.text_for(&vhost.url_as("guest", "wrong"));
    let file = hive_tests::scratch("dead").join("hive.toml");
    std::fs::write(&file, wrong)?;
    let refused = Commands::on_file(&file, &[]);
    let refused = refused.run(&["dead", "list"], &["letters"]).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("ACCESS_REFUSED"), "{refused:?}");
    assert!(!refused.stderr.contains("wrong@"), "{refused:?}");
    Ok(())
}

/// The example's README, step by step: an order whose price nobody knows dies, the price is added, and the
/// order goes through; one that is malformed stays what it is, and is deleted.
#[tokio::test]
async fn the_orders_example_is_mended_and_replayed() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("example").await?;
    hive_tests::example_component("orders");
    let folder = hive_tests::example("orders");
    let file = folder.join("hive.toml");
    let url = vhost.url();
    let variables = [("RABBITMQ_URL", url.as_str())];
    let commands = Commands::on_file(&file, &variables);
    let dead = async |verb: &str, arguments: &[&str]| {
        let arguments = [&["orders"], arguments].concat();
        commands.run(&["dead", verb], &arguments).await
    };
    let mut host = HostProcess::launch_file(&file, &variables)?;
    host.wait_for_start_of("orders").await?;
    for sample in ["retried-unknown-price.json", "rejected-faults.json"] {
        let sample = std::fs::read(folder.join("messages").join(sample))?;
        let published = commands
            .run_with(&["publish"], &["orders", "order.created.web"], &sample)
            .await?;
        assert_done(&published, "1 published");
    }
    vhost.wait_ready("orders.created.dead", 2).await?;
    let listed = dead("list", &["--where", "reason=retry"]).await?;
    assert_done(&listed, "there is no price of \"teapot\" yet");
    assert_done(&listed, "1 listed of 2 in orders.created.dead");
    host.stop().await?;

    let text = std::fs::read_to_string(&file)?;
    let text = text.replace("\"../../", &format!("\"{}/../../", folder.display()));
    let price = "\"price.tea\" = \"450\"";
    assert!(text.contains(price), "{text}");
    let text = text.replace(price, &format!("{price}\n\"price.teapot\" = \"2500\""));
    let mended = hive_tests::scratch("example").join("hive.toml");
    std::fs::write(&mended, text)?;
    let mut host = HostProcess::launch_file(&mended, &variables)?;
    host.wait_for_start_of("orders").await?;
    let sent = dead("republish", &["--where", "error~teapot"]).await?;
    let words = "1 of 2 messages republished from orders.created.dead: 1 to orders.created";
    assert_done(&sent, words);
    let priced = vhost.take_one("orders.priced").await?;
    assert!(priced.text().contains("2500"), "{}", priced.text());
    let purged = dead("purge", &["--where", "reason=rejected"]).await?;
    assert_done(&purged, "1 of 1 messages deleted");
    host.stop().await
}
