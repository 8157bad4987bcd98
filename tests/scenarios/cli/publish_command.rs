//! `hive-host publish`: from standard input, confirmed.

use anyhow::Result;
use hive_tests::{Broker, Commands, Finished, HiveToml, Vhost};
use lapin::ExchangeKind;
use lapin::types::AMQPValue;

async fn post() -> Result<(Vhost, Commands)> {
    let vhost = Broker::shared().await?.vhost("publish").await?;
    vhost.declare_exchange("post", ExchangeKind::Topic).await?;
    vhost.declare_queue("letters", "quorum").await?;
    vhost.bind("letters", "post", "letter.#").await?;
    let commands = Commands::on(&vhost, &HiveToml::one("letters", "ack", ""))?;
    Ok((vhost, commands))
}

fn assert_ends(finished: &Finished, code: i32, words: &str) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let told = format!("{}{}", finished.stdout, finished.stderr);
    assert!(told.contains(words), "{finished:?}");
}

#[tokio::test]
async fn one_message_with_all_that_the_flags_say() -> Result<()> {
    let (vhost, commands) = post().await?;
    let arguments = [
        "post",
        "letter.love",
        "-p",
        "content-type=text/plain",
        "-p",
        "priority=3",
        "-p",
        "correlation-id=7",
        "-H",
        "who=me",
        "-H",
        "count:=3",
        "-H",
        "at:={\"timestamp\":5}",
    ];
    let done = commands
        .run_with(&["publish"], &arguments, b"dear\nyou\n")
        .await?;
    assert_ends(&done, 0, "1 published");
    let found = vhost.take_one("letters").await?;
    assert_eq!(found.body, b"dear\nyou\n");
    assert_eq!(
        (&*found.exchange, &*found.routing_key),
        ("post", "letter.love")
    );
    assert_eq!(found.properties.content_type(), &Some("text/plain".into()));
    assert_eq!(found.properties.correlation_id(), &Some("7".into()));
    assert_eq!(found.properties.priority(), &Some(3));
    assert_eq!(
        found.properties.delivery_mode(),
        &Some(2),
        "nothing is lost by default"
    );
    assert!(!found.id().is_empty(), "it can be told from others");
    assert_eq!(found.text_of("who").as_deref(), Some("me"));
    assert_eq!(found.number_of("count"), Some(3));
    assert_eq!(found.value("at"), Some(&AMQPValue::Timestamp(5)));
    Ok(())
}

#[tokio::test]
async fn many_messages_in_their_order() -> Result<()> {
    const MESSAGES: usize = 1_000;
    let (vhost, commands) = post().await?;
    let lines: String = (0..MESSAGES)
        .map(|number| format!("{{\"body\":\"{number}\",\"headers\":{{\"n\":{number}}}}}\n"))
        .collect();
    let done = commands
        .run_with(&["publish"], &["", "letters", "--json"], lines.as_bytes())
        .await?;
    assert_ends(&done, 0, "{\"published\":1000,\"refused\":0}");
    let mut next = 0;
    vhost
        .take_until("letters", |message| {
            assert_eq!(message.text(), next.to_string());
            next += 1;
            next == MESSAGES
        })
        .await
}

#[tokio::test]
async fn what_cannot_be_published_is_told() -> Result<()> {
    let (vhost, commands) = post().await?;
    let publish = async |arguments: &[&str], input: &str| {
        commands
            .run_with(&["publish"], arguments, input.as_bytes())
            .await
    };
    assert_ends(
        &publish(&["post", "parcel"], "x").await?,
        1,
        "no queue takes it",
    );
    assert_ends(
        &publish(&["post", "parcel", "--optional"], "x").await?,
        0,
        "1 published",
    );
    assert_ends(&publish(&["nowhere", "x"], "x").await?, 1, "NOT_FOUND");
    let property = ["post", "letter.x", "-p", "contenttype=x"];
    assert_ends(
        &publish(&property, "x").await?,
        2,
        "did you mean `content-type`",
    );
    let header = ["post", "letter.x", "-H", "x-hive-attempt=1"];
    assert_ends(&publish(&header, "x").await?, 1, "the host's own");
    let lines = "{\"body\":\"good\"}\nbad\n{\"bdy\":\"worse\"}\n";
    let refused = publish(&["post", "letter.x", "--json"], lines).await?;
    assert_ends(&refused, 2, "nothing was published");
    for words in ["line 2: is not JSON", "line 3: `bdy` is an unknown key"] {
        assert_ends(&refused, 2, words);
    }
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}

/// A dead letter that is mended by hand: shown, edited, published.
#[tokio::test]
async fn what_is_shown_can_be_published() -> Result<()> {
    let (vhost, commands) = post().await?;
    vhost.declare_queue("letters.dead", "quorum").await?;
    let broken = hive_tests::Message::new("brokn")
        .text_header("x-hive-queue", "letters")
        .text_header("x-hive-reason", "error")
        .text_header("who", "me");
    vhost.publish("", "letters.dead", broken).await?;
    let shown = commands
        .run(&["dead", "show"], &["letters", "--json", "--counted"])
        .await?;
    let mended = shown.stdout.replace("brokn", "mended");
    let to_queue = ["--queue", "letters", "--json"];
    let done = commands
        .run_with(&["publish"], &to_queue, mended.as_bytes())
        .await?;
    assert_ends(&done, 0, "\"published\":1");
    let found = vhost.take_one("letters").await?;
    assert_eq!(found.text(), "mended");
    assert_eq!(found.text_of("who").as_deref(), Some("me"));
    assert!(found.value("x-hive-reason").is_none());
    Ok(())
}

/// Nobody is to wonder which of the two it went to.
#[tokio::test]
async fn a_queue_takes_the_place_of_an_exchange_and_a_routing_key() -> Result<()> {
    let (vhost, commands) = post().await?;
    for arguments in [
        &["--queue", "letters", "post", "letter"][..],
        &["post"],
        &[],
    ] {
        let misused = commands.run_with(&["publish"], arguments, b"hello").await?;
        assert_eq!(misused.code, Some(2), "{arguments:?}: {misused:?}");
        assert!(
            misused.stderr.contains("EXCHANGE") || misused.stderr.contains("ROUTING_KEY"),
            "{misused:?}"
        );
    }
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}
