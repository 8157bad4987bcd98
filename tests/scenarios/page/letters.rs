//! Dead letters over the API: looked at, counted, sent, changed and deleted, and what the queue has afterwards.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually};
use serde_json::{Value, json};

use super::JSON;
use crate::retry::dead_group::dead_letter;

/// When they died.
const DIED: u64 = 1_700_000_000;

/// A host whose consumer is paused, so that what is sent to its queue stays there, and three dead letters: two alike.
async fn host(keys: &str) -> Result<(Vhost, HostProcess)> {
    let vhost = Broker::shared().await?.vhost("page-letters").await?;
    let toml = HiveToml::one("letters", "ack", "").host(keys);
    let host = HostProcess::run(&vhost, &toml).await?;
    let paused = host.command("/v1/consumers/letters/pause", JSON).await?;
    assert_eq!(paused.status, 200, "{paused:?}");
    let letters = [
        dead_letter(
            "o-17",
            "{\"id\":17}",
            "error",
            "order 17 has no price",
            DIED,
        ),
        dead_letter("t-1", "<b>x</b>", "trap", "boom", DIED + 1),
        dead_letter(
            "o-18",
            "{\"id\":18}",
            "error",
            "order 18 has no price",
            DIED + 2,
        )
        .text_header("tenant", "acme"),
    ];
    for letter in letters {
        vhost.publish("", "letters.dead", letter).await?;
    }
    vhost.wait_ready("letters.dead", 3).await?;
    Ok((vhost, host))
}

async fn read(host: &HostProcess, path: &str) -> Result<Value> {
    let answer = host.admin(path).await?;
    anyhow::ensure!(answer.status == 200, "{path}: {answer:?}");
    Ok(serde_json::from_str(&answer.body)?)
}

/// The status of a command, and its answer.
async fn command(host: &HostProcess, path: &str, body: &Value) -> Result<(u16, Value)> {
    let answer = host.ask("POST", path, JSON, &body.to_string()).await?;
    Ok((answer.status, serde_json::from_str(&answer.body)?))
}

#[tokio::test]
async fn they_are_listed_grouped_counted_and_shown_and_stay_where_they_are() -> Result<()> {
    let (vhost, host) = host("").await?;
    let list = read(&host, "/v1/dead/letters/messages").await?;
    assert_eq!((&list["there"], &list["matched"]), (&json!(3), &json!(3)));
    let ids: Vec<_> = list["messages"].as_array().into_iter().flatten().collect();
    let ids: Vec<_> = ids
        .iter()
        .filter_map(|one| one["message-id"].as_str())
        .collect();
    assert_eq!(ids, ["o-17", "t-1", "o-18"]);
    let groups = read(&host, "/v1/dead/letters/groups").await?;
    assert_eq!(groups["groups"][0]["count"], 2, "{groups}");
    let key = groups["groups"][0]["group"].as_str().unwrap_or_default();
    let counted = read(&host, &format!("/v1/dead/letters/count?group={key}")).await?;
    assert_eq!(
        (&counted["matched"], &counted["there"]),
        (&json!(2), &json!(3))
    );
    let by_header = "/v1/dead/letters/count?where=header:tenant=acme";
    assert_eq!(read(&host, by_header).await?["matched"], 1);
    let shown = read(
        &host,
        "/v1/dead/letters.dead/show?where=message-id=o-18&exact=true",
    )
    .await?;
    let message = &shown["messages"][0];
    assert_eq!(message["body"]["text"], "{\"id\":18}", "{message}");
    assert_eq!(
        (&message["cut"], &message["bytes"]),
        (&json!(false), &json!(9))
    );
    assert_eq!(message["headers"]["tenant"], "acme", "{message}");
    assert_eq!(message["front"]["routing-key"], "letter.web", "{message}");
    let story = message["dead"]["story"].as_array().map(Vec::len);
    assert!(story.is_some_and(|sentences| sentences > 1), "{message}");
    let unknown = host.admin("/v1/dead/letters/count?where=reasn=x").await?;
    assert_eq!(unknown.status, 400);
    assert!(
        unknown.body.contains("did you mean `reason`"),
        "{unknown:?}"
    );
    assert_eq!(host.admin("/v1/dead/nothing/count").await?.status, 503);
    vhost.wait_ready("letters.dead", 3).await
}

#[tokio::test]
async fn as_many_as_were_counted_are_sent_or_none() -> Result<()> {
    let (vhost, host) = host("").await?;
    let groups = read(&host, "/v1/dead/letters/groups").await?;
    let key = groups["groups"][0]["group"].as_str().unwrap_or_default();
    let republish = |expect: u32| format!("/v1/dead/letters/republish?group={key}&expect={expect}");
    // One came since they were counted.
    let late = dead_letter("o-19", "{}", "error", "order 19 has no price", DIED + 3);
    vhost.publish("", "letters.dead", late).await?;
    vhost.wait_ready("letters.dead", 4).await?;
    let (status, answer) = command(&host, &republish(2), &json!({})).await?;
    assert_eq!(status, 409, "{answer}");
    assert!(
        answer["error"].to_string().contains("nothing was changed"),
        "{answer}"
    );
    vhost.wait_ready("letters.dead", 4).await?;
    let (status, answer) = command(&host, &republish(3), &json!({})).await?;
    assert_eq!(
        (status, &answer["republished"]),
        (200, &json!(3)),
        "{answer}"
    );
    assert_eq!(answer["to"], json!({"letters": 3}));
    vhost.wait_ready("letters.dead", 1).await?;
    vhost.wait_ready("letters", 3).await?;
    // Without a number, nothing is taken.
    let (status, _) = command(&host, "/v1/dead/letters/republish", &json!({})).await?;
    assert_eq!(status, 400);
    // One message, known by its place and by what it is.
    let list = read(&host, "/v1/dead/letters/messages").await?;
    let identity = list["messages"][0]["identity"].as_str().unwrap_or_default();
    let one = format!("where=number=1&where=identity={identity}&expect=1");
    let (status, answer) = command(
        &host,
        &format!("/v1/dead/letters/republish?{one}&to=elsewhere"),
        &json!({}),
    )
    .await?;
    assert_eq!(
        (status, &answer["republished"]),
        (200, &json!(0)),
        "{answer}"
    );
    let left = answer["left"][0]["reason"].as_str().unwrap_or_default();
    assert!(left.contains("there is no queue \"elsewhere\""), "{answer}");
    let (status, answer) = command(
        &host,
        &format!("/v1/dead/letters/republish?{one}"),
        &json!({}),
    )
    .await?;
    assert_eq!(
        (status, &answer["republished"]),
        (200, &json!(1)),
        "{answer}"
    );
    vhost.wait_ready("letters.dead", 0).await?;
    vhost.wait_ready("letters", 4).await
}

#[tokio::test]
async fn a_purge_needs_the_name_of_the_queue_and_their_number() -> Result<()> {
    let (vhost, host) = host("").await?;
    for (query, status) in [
        ("expect=3", 400),
        ("name=letters.dead", 400),
        ("name=letters&expect=3", 400),
        ("name=letters.dead&expect=2", 409),
    ] {
        let path = format!("/v1/dead/letters/purge?{query}");
        let (found, answer) = command(&host, &path, &json!({})).await?;
        assert_eq!(found, status, "{query}: {answer}");
    }
    vhost.wait_ready("letters.dead", 3).await?;
    let path = "/v1/dead/letters/purge?where=reason=trap&name=letters.dead&expect=1";
    let (status, answer) = command(&host, path, &json!({})).await?;
    assert_eq!((status, &answer["purged"]), (200, &json!(1)), "{answer}");
    vhost.wait_ready("letters.dead", 2).await?;
    let audit = read(&host, "/v1/audit").await?;
    assert_eq!(audit[0]["command"], "purge", "{audit}");
    assert_eq!(audit[0]["subject"], "letters");
    let arguments = json!({"where": "reason=trap", "expect": "1"});
    assert_eq!(audit[0]["arguments"], arguments, "{audit}");
    Ok(())
}

#[tokio::test]
async fn one_is_edited_and_sent_as_it_was_but_for_the_edit() -> Result<()> {
    let (vhost, host) = host("").await?;
    let path = "/v1/dead/letters/edit?where=message-id=o-18";
    for (path, body, status, words) in [
        (
            "/v1/dead/letters/edit",
            json!({"body": "{}"}),
            400,
            "say which message",
        ),
        (path, json!({"body": "no JSON"}), 400, "not JSON any more"),
        (
            path,
            json!({"front": {"message-id": "x"}}),
            400,
            "message-id",
        ),
        (path, json!({"boddy": "{}"}), 400, "unknown field"),
        (
            "/v1/dead/letters/edit?where=reason=error",
            json!({"body": "{}"}),
            409,
            "2 dead letters",
        ),
        (path, json!({}), 400, "nothing was changed"),
    ] {
        let (found, answer) = command(&host, path, &body).await?;
        assert_eq!(found, status, "{body}: {answer}");
        assert!(
            answer["error"].to_string().contains(words),
            "{body}: {answer}"
        );
    }
    let shown = read(&host, "/v1/dead/letters/show?where=message-id=o-18").await?;
    let mut front = shown["messages"][0]["front"].clone();
    front["headers"]["tenant"] = "umbrella".into();
    let revision = json!({"front": front, "body": "{\"id\":18,\"price\":3}"});
    let (status, answer) = command(&host, path, &revision).await?;
    assert_eq!(
        (status, &answer["result"]),
        (200, &json!("sent")),
        "{answer}"
    );
    vhost.wait_ready("letters.dead", 2).await?;
    vhost.wait_ready("letters", 1).await?;
    let sent = vhost.take_one("letters").await?;
    assert_eq!(sent.text(), "{\"id\":18,\"price\":3}");
    assert!(sent.id().starts_with("o-18-edit-"), "{}", sent.id());
    Ok(())
}

#[tokio::test]
async fn bodies_and_headers_stay_hidden_where_the_file_says_so() -> Result<()> {
    let (vhost, host) = host("admin_bodies = false").await?;
    let shown = read(&host, "/v1/dead/letters/show").await?.to_string();
    assert!(shown.contains("o-18"), "{shown}");
    for secret in ["acme", "tenant", "<b>", "\"id\\\":18", "front"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    for query in ["count?where=body~17", "messages?where=header:tenant=acme"] {
        let answer = host.admin(&format!("/v1/dead/letters/{query}")).await?;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let edit = "/v1/dead/letters/edit?where=message-id=o-18";
    let (status, _) = command(&host, edit, &json!({"body": "{}"})).await?;
    assert_eq!(status, 403);
    vhost.wait_ready("letters.dead", 3).await
}

#[tokio::test]
async fn a_large_letter_is_shown_cut_and_the_memory_stays_bounded() -> Result<()> {
    /// The broker takes no larger one.
    const MIB: usize = 15;
    let (vhost, host) = host("").await?;
    let body = "ä".repeat(MIB << 19);
    let large = Message::new(body).text_header("x-hive-queue", "letters");
    vhost.publish("", "letters.dead", large).await?;
    vhost.wait_ready("letters.dead", 4).await?;
    let before = host.usage()?.resident_kib;
    for _ in 0..16 {
        // A look does not wait for long for what is on its way.
        let look = async || read(&host, "/v1/dead/letters/show?where=number=4").await;
        let shown = eventually("it is shown", look, |shown| shown["matched"] == 1).await?;
        let message = &shown["messages"][0];
        let (cut, bytes) = (&message["cut"], &message["bytes"]);
        assert_eq!((cut, bytes), (&json!(true), &json!(MIB << 20)));
        let text = message["body"]["text"].as_str().unwrap_or_default();
        assert!(
            text.len() <= 64 << 10 && text.starts_with("ää"),
            "{}",
            text.len()
        );
    }
    // It is put together of its frames, and what one look held the next one does not.
    let grown = usize::try_from((host.peak_kib()? - before) >> 10)?;
    assert!(grown < 8 * MIB, "{grown} MiB more");
    Ok(())
}
