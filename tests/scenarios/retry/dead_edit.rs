//! `hive-host dead edit`: one dead letter becomes one message, whatever ends the command.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};
use hive_tests::{Broker, Commands, Finished, HiveToml, Message, Vhost, scratch};
use serde_json::Value;

use super::dead_group::dead_letter;

const EDIT: [&str; 2] = ["dead", "edit"];

/// One dead letter, `o-17`, of the queue `letters`; no host runs.
async fn dead(toml: &HiveToml) -> Result<(Vhost, Commands)> {
    let vhost = Broker::shared().await?.vhost("edit").await?;
    for queue in ["letters", "letters.dead"] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let letter = dead_letter(
        "o-17",
        "{\"id\":17}",
        "error",
        "order 17 has no price",
        1_700_000_000,
    )
    .header("weight", lapin::types::AMQPValue::ShortInt(7));
    vhost.publish("", "letters.dead", letter).await?;
    vhost.wait_ready("letters.dead", 1).await?;
    let commands = Commands::on(&vhost, toml)?;
    Ok((vhost, commands))
}

fn acking() -> HiveToml {
    HiveToml::one("letters", "ack", "")
}

/// Gives it another body.
async fn edit(commands: &Commands, arguments: &[&str]) -> Result<Finished> {
    let arguments = [&["letters", "o-17", "--body", "-"], arguments].concat();
    commands.run_with(&EDIT, &arguments, b"{\"id\":18}").await
}

async fn assert_sent_once(vhost: &Vhost) -> Result<()> {
    vhost.wait_ready("letters.dead", 0).await?;
    vhost.wait_ready("letters", 1).await?;
    let sent = vhost.take_one("letters").await?;
    assert_eq!(sent.text(), "{\"id\":18}");
    assert!(sent.id().starts_with("o-17-edit-"), "{}", sent.id());
    Ok(())
}

#[tokio::test]
async fn an_edited_message_is_sent_as_it_was_but_for_the_edit() -> Result<()> {
    let (vhost, commands) = dead(&acking()).await?;
    let flags = ["-H", "colour=red", "-p", "priority=3", "--json"];
    let edited = edit(&commands, &flags).await?;
    let [result]: [Value; 1] = edited.json_lines()?.try_into().expect("one object");
    assert_eq!(result["result"], "sent", "{result}");
    assert_eq!(result["to"], "letters");
    vhost.wait_ready("letters.dead", 0).await?;
    let sent: Message = vhost.take_one("letters").await?;
    assert_eq!(sent.text(), "{\"id\":18}");
    assert_eq!(result["message-id"], sent.id());
    assert_eq!(*sent.properties.priority(), Some(3));
    assert_eq!(sent.text_of("colour").as_deref(), Some("red"));
    assert_eq!(
        sent.value("weight"),
        Some(&lapin::types::AMQPValue::ShortInt(7))
    );
    let content_type = sent.properties.content_type().as_ref();
    assert_eq!(
        content_type.map(|text| text.as_str()),
        Some("application/json")
    );
    assert_eq!(
        sent.text_of("x-hive-routing-key").as_deref(),
        Some("letter.web")
    );
    for name in [
        "x-hive-reason",
        "x-hive-attempts",
        "x-hive-edit",
        "x-hive-edit-of",
    ] {
        assert!(sent.value(name).is_none(), "{name} is still there");
    }
    Ok(())
}

/// The process is killed at each step, and the same command is run again.
#[tokio::test]
async fn an_edit_that_is_killed_at_any_step_sends_one_message() -> Result<()> {
    for (step, left_dead) in [
        ("edit.found", 1),
        ("edit.drafted", 2),
        ("edit.replaced", 1),
        ("edit.sent", 1),
    ] {
        let (vhost, commands) = dead(&acking()).await?;
        let armed = Commands::on(&vhost, &acking())?.armed(&format!("{step}=return"));
        let killed = edit(&armed, &[]).await?;
        assert_eq!(killed.code, None, "it died at {step}: {killed:?}");
        vhost.wait_ready("letters.dead", left_dead).await?;
        let again = edit(&commands, &[]).await?;
        match step {
            "edit.replaced" => {
                // It may have been sent and handled, for all that anybody knows: it is sent only by whoever says so.
                assert_eq!(again.code, Some(1), "{step}: {again:?}");
                assert!(again.stderr.contains("--again"), "{step}: {again:?}");
                vhost.wait_ready("letters.dead", 1).await?;
                let left = commands.run(&["dead", "republish"], &["letters"]).await?;
                assert_eq!(left.code, Some(1), "{step}: {left:?}");
                assert!(
                    left.stderr.contains("an edit of it was interrupted"),
                    "{left:?}"
                );
                vhost.wait_ready("letters.dead", 1).await?;
                assert_eq!(
                    vhost.ready("letters").await?,
                    0,
                    "nothing is sent by itself"
                );
                let told = commands.run(&EDIT, &["letters", "o-17", "--again"]).await?;
                assert_eq!(told.code, Some(0), "{step}: {told:?}");
            }
            "edit.sent" => {
                assert_eq!(again.code, Some(0), "{step}: {again:?}");
                assert!(
                    again.stdout.contains("is finished now"),
                    "{step}: {again:?}"
                );
            }
            _ => assert_eq!(again.code, Some(0), "{step}: {again:?}"),
        }
        assert_sent_once(&vhost).await.context(step)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_handled_is_not_sent() -> Result<()> {
    let schema = scratch("edit").join("order.json");
    let text = r#"{"type":"object","properties":{"id":{"type":"integer","maximum":17}}}"#;
    std::fs::write(&schema, text)?;
    let keys = format!("schema = {{ body = \"{}\" }}", schema.display());
    let (vhost, commands) = dead(&HiveToml::one("letters", "ack", &keys)).await?;
    let commands = commands.with("VISUAL", "").with("EDITOR", "");
    let refused = edit(&commands, &[]).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let words = "[consumers.letters.schema]: the body does not match its schema: /id";
    assert!(refused.stderr.contains(words), "{refused:?}");
    let arguments = ["letters", "o-17", "--body", "-"];
    let refused = commands.run_with(&EDIT, &arguments, b"{\"id\":").await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("is not JSON any more"),
        "{refused:?}"
    );
    for (arguments, code, words) in [
        (
            &["letters", "o-18", "--body", "-"][..],
            1,
            "no dead letter in \"letters.dead\" matches",
        ),
        (&["letters", "--body", "-"][..], 2, "which dead letter?"),
        (
            &["letters", "o-17", "-H", "x-hive-queue=other"][..],
            2,
            "the host's own",
        ),
        (
            &["letters", "o-17", "-p", "message-id=mine"][..],
            2,
            "made of the old one",
        ),
        (&["letters", "o-17"][..], 2, "set VISUAL or EDITOR"),
    ] {
        let told = commands.run_with(&EDIT, arguments, b"{}").await?;
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.stderr.contains(words), "{told:?}");
        vhost.wait_ready("letters.dead", 1).await?;
    }
    // A queue that is gone takes nothing: the letter is dead as it was.
    let gone = ["letters", "o-17", "--to", "nowhere", "--body", "-"];
    let told = commands.run_with(&EDIT, &gone, b"{\"id\":1}").await?;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr.contains("there is no queue \"nowhere\""),
        "{told:?}"
    );
    vhost.wait_ready("letters.dead", 1).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!((dead.id(), &*dead.text()), ("o-17", "{\"id\":17}"));
    assert!(dead.value("x-hive-edit").is_none(), "{dead:?}");
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_editor_gets_properties_and_body() -> Result<()> {
    let (vhost, commands) = dead(&acking()).await?;
    let editor = scratch("edit").join("editor");
    let script = "#!/bin/sh\nset -e\ngrep -q '^---$' \"$2\"\ntest \"$1\" = -w\n\
                  sed -i -e 's/\"id\":17/\"id\":18/' -e 's/\"weight\": 7/\"weight\": 8/' \"$2\"\n";
    std::fs::write(&editor, script)?;
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700))?;
    let untouched = Commands::on(&vhost, &acking())?.with("EDITOR", "true");
    let told = untouched.run(&EDIT, &["letters", "o-17"]).await?;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("nothing was changed"), "{told:?}");
    vhost.wait_ready("letters.dead", 1).await?;
    let commands = commands.with("VISUAL", &format!("{} -w", editor.display()));
    let told = commands.run(&EDIT, &["letters", "o-17"]).await?;
    assert_eq!(told.code, Some(0), "{told:?}");
    let sent = vhost.take_one("letters").await?;
    assert_eq!(sent.text(), "{\"id\":18}");
    assert_eq!(sent.number_of("weight"), Some(8));
    vhost.wait_ready("letters.dead", 0).await
}
