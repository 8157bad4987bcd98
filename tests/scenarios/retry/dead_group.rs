//! `hive-host dead group`: what failed alike, and actions on a group that hold what was counted.

use anyhow::{Context, Result};
use hive_tests::{Broker, Commands, Finished, HiveToml, Message, Vhost};
use lapin::types::AMQPValue;
use serde_json::Value;

/// When the first of the dead letters below died.
const BEGAN: u64 = 1_700_000_000;

/// A dead letter of the queue `letters` as a host writes it.
pub(crate) fn dead_letter(id: &str, body: &str, class: &str, error: &str, time: u64) -> Message {
    Message::new(body)
        .with(|properties| {
            properties
                .with_message_id(id.into())
                .with_content_type("application/json".into())
        })
        .text_header("x-hive-reason", class)
        .text_header("x-hive-error", error)
        .header("x-hive-attempts", 3_i64)
        .header("x-hive-time", AMQPValue::Timestamp(time))
        .text_header("x-hive-consumer", "letters")
        .text_header("x-hive-queue", "letters")
        .text_header("x-hive-exchange", "shop")
        .text_header("x-hive-routing-key", "letter.web")
}

/// Three orders without a price, one that trapped, and one whose error acts on a terminal; no host runs.
async fn dead() -> Result<(Vhost, Commands)> {
    let vhost = Broker::shared().await?.vhost("groups").await?;
    // A look at a classic queue is free on every version.
    for queue in ["letters", "letters.dead"] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let trap = "thread '<unnamed>' panicked at src/lib.rs:12:5:\nno tea; wasm trap: wasm `unreachable` instruction \
                executed in abort < price (lib.rs:12)";
    let priceless = |number: u64| {
        let error = format!("order {number} has no price");
        dead_letter(
            &format!("o-{number}"),
            "{}",
            "error",
            &error,
            BEGAN + number,
        )
    };
    let messages = [
        priceless(17),
        dead_letter("t-1", "{}", "trap", trap, BEGAN),
        priceless(18),
        dead_letter(
            "\u{1b}[2J",
            "<b>\u{1b}[2J",
            "error",
            "<script>\u{1b}[2J",
            BEGAN,
        ),
        priceless(19),
    ];
    vhost.publish_all("", "letters.dead", messages).await?;
    vhost.wait_ready("letters.dead", 5).await?;
    let commands = Commands::on(&vhost, &HiveToml::one("letters", "ack", ""))?;
    Ok((vhost, commands))
}

async fn run(commands: &Commands, verb: &str, arguments: &[&str]) -> Result<Finished> {
    let arguments = [&["letters"], arguments].concat();
    commands.run(&["dead", verb], &arguments).await
}

/// The key of the group whose error has these words.
fn key(groups: &Value, words: &str) -> Result<String> {
    let mut groups = groups["groups"].as_array().into_iter().flatten();
    let group = groups.find(|group| group["error"].as_str().is_some_and(|e| e.contains(words)));
    let key = group.and_then(|group| group["group"].as_str());
    Ok(key.context("there is such a group")?.to_owned())
}

#[tokio::test]
async fn those_that_failed_alike_are_counted_together() -> Result<()> {
    let (vhost, commands) = dead().await?;
    let grouped = run(&commands, "group", &["--json"]).await?;
    let [groups]: [Value; 1] = grouped.json_lines()?.try_into().expect("one object");
    assert_eq!(groups["there"], 5, "{groups}");
    assert_eq!(groups["others"], 0, "{groups}");
    let first = &groups["groups"][0];
    assert_eq!(first["count"], 3, "{groups}");
    assert_eq!(first["reason"], "error");
    assert_eq!(first["error"], "order # has no price");
    assert_eq!(first["message-id"], "o-17");
    assert_eq!(
        (&first["first"], &first["last"]),
        (&Value::from(BEGAN + 17), &Value::from(BEGAN + 19))
    );
    let trapped = key(&groups, "panicked")?;
    let mut all = groups["groups"].as_array().into_iter().flatten();
    let trap = all
        .find(|group| group["group"] == *trapped)
        .context("it is there")?;
    assert_eq!(trap["top-frame"], "price (lib.rs)");

    let printed = run(&commands, "group", &[]).await?;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    for words in [
        "KEY",
        "o-17",
        "order # has no price",
        "3 groups; 5 looked at of 5 in letters.dead",
    ] {
        assert!(printed.stdout.contains(words), "{printed:?}");
    }
    assert!(!printed.stdout.contains('\u{1b}'), "{printed:?}");
    // It changes nothing.
    vhost.wait_ready("letters.dead", 5).await
}

#[tokio::test]
async fn an_action_on_a_group_does_what_was_counted_or_nothing() -> Result<()> {
    let (vhost, commands) = dead().await?;
    let grouped = run(&commands, "group", &["--json"]).await?;
    let groups = &grouped.json_lines()?[0];
    let (priceless, trapped) = (key(groups, "no price")?, key(groups, "panicked")?);

    // Conditions and a group compose.
    let group = ["--group", &*priceless];
    let one = [&group[..], &["--where", "message-id=o-18", "--json"]].concat();
    let listed = run(&commands, "list", &one).await?.json_lines()?;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["group"], *priceless);

    let other = [&group[..], &["--expect", "2"]].concat();
    for verb in ["republish", "purge"] {
        let refused = run(&commands, verb, &other).await?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let words = "3 messages match now, and 2 were expected; nothing was changed";
        assert!(refused.stderr.contains(words), "{refused:?}");
        vhost.wait_ready("letters.dead", 5).await?;
    }
    let right = [&group[..], &["--expect", "3"]].concat();
    let sent = run(&commands, "republish", &right).await?;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(
        sent.stdout.contains("3 of 5 messages republished"),
        "{sent:?}"
    );
    vhost.wait_ready("letters.dead", 2).await?;
    vhost.wait_ready("letters", 3).await?;

    let purged = run(&commands, "purge", &["--group", &trapped, "--expect", "1"]).await?;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    vhost.wait_ready("letters.dead", 1).await?;
    let wrong = run(&commands, "list", &["--group", "o-17"]).await?;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("ten hexadecimal digits"), "{wrong:?}");
    Ok(())
}

#[tokio::test]
async fn the_story_of_a_dead_letter_is_told_and_nothing_in_it_acts_on_a_terminal() -> Result<()> {
    let (vhost, commands) = dead().await?;
    let shown = run(&commands, "show", &["--where", "message-id=t-1"]).await?;
    for words in [
        "It was published to exchange \"shop\" with routing key \"letter.web\".",
        "Consumer \"letters\" took it from queue \"letters\" and tried it 3 times.",
        "Attempt 3 failed with class trap (HIVE-0402): thread",
        "It failed in price (lib.rs:12).",
        "Hive dead-lettered it at 2023-11-14T22:13:20Z.",
        "`hive-host explain HIVE-0402` says what to do.",
        "called             price (lib.rs:12)",
    ] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
    let whole = run(&commands, "show", &["--where", "message-id=t-1", "--json"]).await?;
    let dead = &whole.json_lines()?[0]["dead"];
    assert_eq!(dead["dead-lettered-by"], "hive");
    assert_eq!(dead["code"], "HIVE-0402");
    assert_eq!(dead["top-frame"], "price (lib.rs:12)");
    assert_eq!(dead["story"].as_array().map(Vec::len), Some(6), "{dead}");

    let hostile = run(&commands, "show", &["--where", "error~script"]).await?;
    assert!(hostile.stdout.contains("<script>\\u{1b}[2J"), "{hostile:?}");
    assert!(!hostile.stdout.contains('\u{1b}'), "{hostile:?}");

    let large = dead_letter("large", &"x".repeat(1 << 20), "error", "too large", BEGAN);
    vhost.publish("", "letters.dead", large).await?;
    vhost.wait_ready("letters.dead", 6).await?;
    let large = run(&commands, "show", &["--where", "message-id=large"]).await?;
    assert!(large.stdout.len() < 100_000, "{}", large.stdout.len());
    let words = "1048576 bytes, text; the first 65536 are shown, --json has all";
    assert!(large.stdout.contains(words), "{:?}", &large.stdout[..2_000]);
    Ok(())
}
