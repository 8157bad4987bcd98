//! What a component does with its containers, in a directory and in a bucket.

use std::path::Path;

use anyhow::Result;
use hive_tests::{
    BUCKET, Broker, HiveToml, HostProcess, Message, S3Server, SECRET, Vhost, check, eventually,
    language_guest, scratch,
};

/// A guest that does to a container what it is told to, one message at a time.
pub(crate) fn obedient(containers: &str, keys: &str) -> HiveToml {
    let keys = format!("allow = {{ blobstore = {{ {containers} }} }}\n{keys}");
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("objects", &keys)
        .consumer("letters", "objects", "")
}

pub(crate) async fn launch(
    vhost: &Vhost,
    toml: &HiveToml,
    variables: &[(String, String)],
) -> Result<HostProcess> {
    let path = scratch("objects").join("hive.toml");
    std::fs::write(&path, toml.text(vhost))?;
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let host = HostProcess::launch_file(&path, &variables)?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    Ok(host)
}

pub(crate) async fn ask(vhost: &Vhost, request: &str) -> Result<String> {
    vhost.publish("", "letters", Message::new(request)).await?;
    Ok(vhost.take_one("out").await?.text())
}

async fn assert_answers(vhost: &Vhost, answers: &[(&str, &str)]) -> Result<()> {
    for (request, answer) in answers {
        assert_eq!(ask(vhost, request).await?, *answer, "{request}");
    }
    Ok(())
}

/// Everything that the interfaces have, the same for every kind of store.
const ALL: &[(&str, &str)] = &[
    ("box get a", "-"),
    ("box size a", "-"),
    ("box exists a", "false"),
    ("box names", ""),
    ("box put a one", "done"),
    ("box put a twelve", "done"),
    ("box get a", "twelve"),
    ("box get-range a 2 3", "el"),
    ("box get-range a 4 100", "ve"),
    ("box size a", "6"),
    ("box exists a", "true"),
    ("box put deep/er/b two", "done"),
    ("box put empty ", "done"),
    ("box get empty", ""),
    ("box names", "a deep/er/b empty"),
    ("box copy a box deep/c", "done"),
    ("box get deep/c", "twelve"),
    ("box copy a other a", "done"),
    ("other get a", "twelve"),
    ("other names", "a"),
    ("box delete empty", "done"),
    ("box delete empty", "done"),
    ("box names", "a deep/c deep/er/b"),
    // Three parts, and what is left of a fourth.
    ("box put-large large 26000000", "done"),
    ("box sum large", "26000000 bytes, sum 26000000"),
    ("box copy large other large", "done"),
    ("other size large", "26000000"),
    // Nothing of what was not finished.
    ("box forget never 10", "forgotten"),
    ("box forget never 26000000", "forgotten"),
    ("box exists never", "false"),
];

#[tokio::test]
async fn everything_that_the_interfaces_have_in_a_directory() -> Result<()> {
    let [folder, other] = [scratch("box"), scratch("other")];
    let containers = format!(
        "box = \"file:{}\", other = \"file:{}\"",
        folder.display(),
        other.display()
    );
    let vhost = Broker::shared().await?.vhost("objects").await?;
    let mut host = launch(&vhost, &obedient(&containers, "timeout = \"120s\""), &[]).await?;
    assert_answers(&vhost, ALL).await?;
    assert_eq!(std::fs::read_to_string(folder.join("a"))?, "twelve");
    assert_eq!(std::fs::metadata(folder.join("large"))?.len(), 26_000_000);
    nothing_unfinished(&folder).await?;
    // A name does not lead out of the directory.
    for name in ["../a", "/a", "a//b", ".", "a/../../b", ""] {
        let answer = ask(&vhost, &format!("box put {name} x")).await?;
        assert!(answer.contains("is not the name of an object"), "{answer}");
    }
    host.stop().await
}

/// Files that are being written have a `#` in their names.
async fn nothing_unfinished(folder: &Path) -> Result<()> {
    let look = async || {
        let mut unfinished = 0;
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            unfinished += usize::from(name.to_string_lossy().contains('#'));
        }
        Ok(unfinished)
    };
    eventually("nothing unfinished is left", look, |left| *left == 0).await?;
    Ok(())
}

#[tokio::test]
async fn everything_that_the_interfaces_have_in_a_bucket() -> Result<()> {
    let server = S3Server::start().await?;
    let containers = format!("box = \"s3://{BUCKET}/a/b\", other = \"s3://{BUCKET}/other/\"");
    let vhost = Broker::shared().await?.vhost("objects").await?;
    let toml = obedient(&containers, "timeout = \"120s\"");
    let mut host = launch(&vhost, &toml, &server.variables()).await?;
    assert_answers(&vhost, ALL).await?;
    let names: Vec<String> = server
        .objects("")?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "a/b/a",
        "a/b/deep/c",
        "a/b/deep/er/b",
        "a/b/large",
        "other/a",
        "other/large",
    ];
    assert_eq!(names, expected);
    // The parts of what was never finished are removed, after a trap too.
    vhost
        .publish("", "letters", Message::new("box die never 26000000"))
        .await?;
    host.wait_for_event("delivery.settled", &[("outcome", "retried")])
        .await?;
    let look = async || server.unfinished_uploads();
    eventually("no upload is left unfinished", look, |left| *left == 0).await?;
    assert!(!host.mentions(SECRET), "the secret is in the log");
    host.stop().await
}

#[tokio::test]
async fn a_container_that_is_not_granted_is_denied_and_both_are_told_the_key() -> Result<()> {
    let folder = scratch("box");
    let containers = format!("box = \"file:{}\"", folder.display());
    let vhost = Broker::shared().await?.vhost("objects").await?;
    let host = launch(&vhost, &obedient(&containers, ""), &[]).await?;
    let key = "components.objects.allow.blobstore";
    let answer = ask(&vhost, "other names").await?;
    assert!(answer.contains(key), "{answer}");
    let answer = ask(&vhost, "box copy a other a").await?;
    assert!(answer.contains(key), "{answer}");
    host.wait_for_event_naming("component.denied", key).await?;
    let denied = r#"hive_denied_total{capability="blobstore",component="objects"}"#;
    assert_eq!(host.metric(denied).await?, 2.0);
    assert_answers(&vhost, &[("box put a 1", "done")]).await
}

#[tokio::test]
async fn a_check_shows_what_is_granted_and_no_credentials() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("objects").await?;
    let toml = obedient("box = \"s3://bucket/prefix\"", "").text(&vhost);
    let checked = check(&toml)?;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let shown = "imports wasi:blobstore/blobstore@0.2.0-draft: box (s3://bucket/prefix)";
    assert!(checked.stdout.contains(shown), "{checked:?}");

    let toml = obedient("box = \"s3://AKIA:s3cr3t@bucket\"", "").text(&vhost);
    let checked = check(&toml)?;
    assert_eq!(checked.code, Some(2), "{checked:?}");
    let key = "components.objects.allow.blobstore.box";
    assert!(checked.stderr.contains(key), "{checked:?}");
    assert!(checked.stderr.contains("HIVE-0130"), "{checked:?}");
    assert!(!format!("{checked:?}").contains("s3cr3t"), "{checked:?}");
    Ok(())
}

/// What every SDK has.
const IN_EACH_LANGUAGE: &[(&str, &str)] = &[
    ("box get a", "-"),
    ("box size a", "-"),
    ("box exists a", "false"),
    ("box put a one", "done"),
    ("box put a twelve", "done"),
    ("box get a", "twelve"),
    ("box size a", "6"),
    ("box exists a", "true"),
    ("box put-large large 9000000", "done"),
    ("box size large", "9000000"),
    ("box delete a", "done"),
    ("box delete a", "done"),
    ("box exists a", "false"),
];

#[tokio::test]
async fn the_sdk_of_each_language_reads_and_writes_objects() -> Result<()> {
    for language in ["javascript", "python", "c", "go"] {
        let component = language_guest(&format!("objects-{language}"));
        let folder = scratch("box");
        let vhost = Broker::shared().await?.vhost("objects").await?;
        let grants = format!(
            "allow = {{ blobstore = {{ box = \"file:{}\" }} }}\ntimeout = \"60s\"\nmemory = \"256MiB\"",
            folder.display()
        );
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component_at("objects", &component, &grants)
            .consumer("letters", "objects", "");
        let mut host = launch(&vhost, &toml, &[]).await?;
        for (request, answer) in IN_EACH_LANGUAGE {
            assert_eq!(
                ask(&vhost, request).await?,
                *answer,
                "{language}: {request}"
            );
        }
        let answer = ask(&vhost, "other exists a").await?;
        let key = "components.objects.allow.blobstore";
        assert!(
            answer.starts_with("error: ") && answer.contains(key),
            "{language}: {answer}"
        );
        // An error of a store is none of the component.
        std::fs::remove_dir_all(&folder)?;
        std::fs::write(&folder, "in the way")?;
        vhost
            .publish("", "letters", Message::new("fail box put a content"))
            .await?;
        host.wait_for_event("objects.away", &[("container", "box")])
            .await?;
        std::fs::remove_file(&folder)?;
        std::fs::create_dir(&folder)?;
        assert_eq!(vhost.take_one("out").await?.text(), "done", "{language}");
        host.stop().await?;
    }
    Ok(())
}
