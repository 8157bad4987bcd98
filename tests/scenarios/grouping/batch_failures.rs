//! What a component does wrong with a batch: one delivery's fault is its own, a call without an answer
//! for each is everybody's.

use anyhow::Result;
use hive_tests::{HiveToml, Message};

use crate::grouping::batches::{batches, send};
use crate::{assert_settled, consuming};

#[tokio::test]
async fn a_batch_that_traps_is_retried_whole_and_each_spends_one_retry() -> Result<()> {
    let toml = batches(3, "2s", r#"retry = { delays = ["50ms"] }"#);
    let (vhost, mut host) = consuming("batches", toml).await?;
    send(&vhost, &["a publish", "b trap-once", "c publish"]).await?;
    host.wait_for_printed("batch of 3: a/1 b/1 c/1").await?;
    let out = vhost.take("out", 3).await?;
    let mut out: Vec<_> = out.iter().map(Message::text).collect();
    out.sort();
    assert_eq!(out, ["a", "b", "c"]);
    for number in ["a", "b", "c"] {
        assert_eq!(host.count_printed(&format!("{number}/2")), 1, "{number}");
    }
    assert_eq!(host.count_printed("/3"), 0, "each was retried once");
    let failures = r#"hive_failures_total{class="trap",consumer="letters"}"#;
    assert_eq!(host.metric(failures).await?, 3.0);
    let traps = r#"hive_traps_total{component="batch"}"#;
    assert_eq!(host.metric(traps).await?, 1.0);
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// Each of these leaves its two neighbours without an answer.
#[tokio::test]
async fn a_call_that_does_not_answer_each_delivery_fails_all_of_them() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component(
            "batch",
            "timeout = \"500ms\"\nmax_answer = \"64KiB\"\nmemory = \"32MiB\"",
        )
        .consumer(
            "letters",
            "batch",
            "batch = { size = 3, wait = \"15m\" }\nretry = { limit = 0 }",
        );
    let (vhost, mut host) = consuming("batches", toml).await?;
    for (behaviour, class, told) in [
        ("trap", "trap", "asked to"),
        ("error", "error", "asked to"),
        ("hang", "timeout", "timeout of 500ms"),
        ("hog", "limit", "`memory`"),
        ("too-much", "limit", "`max_answer`"),
        ("one-less", "error", "a batch of 3 with a list of 2"),
        ("one-more", "error", "a batch of 3 with a list of 4"),
    ] {
        send(
            &vhost,
            &["a publish", &format!("b {behaviour}"), "c publish"],
        )
        .await?;
        let dead = vhost.take("letters.dead", 3).await?;
        let bodies: Vec<_> = dead.iter().map(Message::text).collect();
        assert_eq!(
            bodies,
            ["a publish", &format!("b {behaviour}"), "c publish"]
        );
        for dead in dead {
            assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some(class));
            let error = dead.text_of("x-hive-error").unwrap_or_default();
            assert!(error.contains(told), "{behaviour}: {error}");
            assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
        }
    }
    assert_eq!(
        vhost.ready("out").await?,
        0,
        "nothing of them was published"
    );
    // And the component still works.
    send(&vhost, &["d publish", "e publish", "f publish"]).await?;
    vhost.wait_ready("out", 3).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn what_one_delivery_publishes_wrong_is_its_own_failure() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component(
            "batch",
            "allow = { publish = [\":out\", \":no-such-queue\"] }",
        )
        .consumer(
            "letters",
            "batch",
            "batch = { size = 5, wait = \"15m\" }\nretry = { limit = 0 }",
        );
    let (vhost, mut host) = consuming("batches", toml).await?;
    let bodies = [
        "a publish",
        "b elsewhere",
        "c nowhere",
        "d too-many",
        "e publish",
    ];
    send(&vhost, &bodies).await?;
    let mut dead = vhost.take("letters.dead", 3).await?;
    dead.sort_by_key(Message::text);
    for (dead, (body, class, told)) in dead.iter().zip([
        ("b elsewhere", "publish", "allow.publish"),
        ("c nowhere", "publish", "no queue takes it"),
        ("d too-many", "limit", "`max_publications`"),
    ]) {
        assert_eq!(dead.text(), body);
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some(class));
        let error = dead.text_of("x-hive-error").unwrap_or_default();
        assert!(error.contains(told), "{body}: {error}");
    }
    let out = vhost.take("out", 2).await?;
    let out: Vec<_> = out.iter().map(Message::text).collect();
    assert_eq!(out, ["a", "e"]);
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_batch_still_in_hand_at_the_deadline_of_a_stop_goes_back_whole() -> Result<()> {
    let toml = batches(2, "15m", "").host(r#"shutdown_timeout = "300ms""#);
    let (vhost, mut host) = consuming("batches", toml).await?;
    send(&vhost, &["a slow", "b publish"]).await?;
    host.wait_for_printed("batch of 2").await?;
    host.sigterm();
    assert_eq!(
        host.wait().await?.code(),
        Some(1),
        "the drain was not clean"
    );
    vhost.wait_ready("letters", 2).await?;
    host.lines_to_the_end();
    assert_eq!(
        host.count_events("delivery.abandoned", &[]),
        2,
        "each is named"
    );
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}
