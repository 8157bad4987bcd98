//! `examples/tracks`: every track that was answered with 202 is in exactly one object, whoever is killed and when.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{
    BUCKET, Broker, HiveToml, HostProcess, Message, S3Server, Vhost, eventually, example,
    example_component, reserve_ports, run_to_end, scratch, unzipped,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use crate::http::client::Client;

const SIGKILL: i32 = 9;

/// Each track with the objects that it is in.
fn archived(objects: Vec<(String, Vec<u8>)>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, content) in objects {
        ensure!(name.ends_with(".jsonl.gz"), "what is {name}?");
        for line in unzipped(&content)?.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let id = line["id"].as_str().context("an id")?.to_owned();
            found.entry(id).or_default().push(name.clone());
        }
    }
    Ok(found)
}

fn assert_each_in_one(found: &BTreeMap<String, Vec<String>>, tracks: usize) {
    let twice: Vec<_> = found
        .iter()
        .filter(|(_, objects)| objects.len() != 1)
        .collect();
    assert!(twice.is_empty(), "in more than one place: {twice:?}");
    assert_eq!(found.len(), tracks);
}

/// Everything has left the queue.
async fn all_settled(vhost: &Vhost, host: &mut HostProcess) -> Result<()> {
    let look = async || vhost.ready("tracks").await;
    eventually("nothing waits", look, |waiting| *waiting == 0).await?;
    // What is in flight is finished by a stop, and what is not would be back in the queue.
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 0);
    let look = async || vhost.ready("tracks.dead").await;
    eventually("no track is a dead letter", look, |dead| *dead == 0).await?;
    Ok(())
}

/// The host of the example with a bucket, again and again on the same store.
struct Stage {
    vhost: Vhost,
    server: S3Server,
    folder: PathBuf,
    port: u16,
}

impl Stage {
    async fn new() -> Result<Self> {
        example_component("tracks");
        let [port] = reserve_ports()?;
        Ok(Self {
            vhost: Broker::shared().await?.vhost("tracks").await?,
            server: S3Server::start().await?,
            folder: scratch("tracks"),
            port,
        })
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut variables = self.server.variables();
        let store = self.folder.join("tracks.db");
        for (name, value) in [
            ("RABBITMQ_URL", self.vhost.url()),
            ("LISTEN", format!("127.0.0.1:{}", self.port)),
            ("STORE", store.display().to_string()),
            ("TRACKS", format!("s3://{BUCKET}/frequency")),
            ("WAIT", "300ms".to_owned()),
            ("HIVE_LOG_FORMAT", "json".to_owned()),
        ] {
            variables.push((name.to_owned(), value));
        }
        variables
    }

    fn host(&self) -> Result<HostProcess> {
        let variables = self.variables();
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        HostProcess::launch_file(&example("tracks").join("hive.toml"), &variables)
    }

    fn archived(&self) -> Result<BTreeMap<String, Vec<String>>> {
        archived(self.server.objects("frequency")?)
    }
}

/// Posts tracks, each until it is answered with 202, however often the host goes away meanwhile.
async fn post(port: u16, ids: std::ops::Range<usize>) -> Result<usize> {
    let mut client = None;
    let mut posted = 0;
    for id in ids {
        let body = format!(r#"{{"title":"track {id}"}}"#);
        let headers = format!("content-type: application/json\r\nidempotency-key: t{id}\r\n");
        loop {
            if client.is_none() {
                client = Client::connect(port).await.ok();
            }
            let answer = match &mut client {
                Some(client) => client.send("POST /api/t", &headers, &body).await.ok(),
                None => None,
            };
            match answer.map(|answer| answer.status) {
                Some(202) => break,
                Some(503) => {}
                Some(other) => anyhow::bail!("answered with {other}"),
                None => client = None,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        posted += 1;
    }
    Ok(posted)
}

#[tokio::test]
async fn every_track_is_in_exactly_one_object_whoever_is_killed() -> Result<()> {
    const CLIENTS: usize = 8;
    const EACH: usize = 500;
    const KILLS: usize = 12;
    let stage = Stage::new().await?;
    let mut host = stage.host()?;
    let mut posting: JoinSet<_> = (0..CLIENTS)
        .map(|client| post(stage.port, client * EACH..(client + 1) * EACH))
        .collect();
    let mut random = StdRng::seed_from_u64(rand::random());
    for kill in 0..KILLS {
        // However long it is: whoever is killed is at some other step each time.
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1500))).await;
        match kill % 3 {
            2 => {
                stage.server.kill9()?;
                tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
                stage.server.restart().await?;
            }
            _ => {
                host.kill9()?;
                host = stage.host()?;
            }
        }
    }
    let mut posted = 0;
    while let Some(client) = posting.join_next().await {
        posted += client??;
    }
    assert_eq!(posted, CLIENTS * EACH);
    let look = async || Ok(stage.archived()?.len());
    let all = |count: &usize| *count == CLIENTS * EACH;
    eventually("every track is in an object", look, all).await?;
    all_settled(&stage.vhost, &mut host).await?;
    assert_each_in_one(&stage.archived()?, CLIENTS * EACH);
    Ok(())
}

/// A host that consumes tracks and puts them into a directory.
fn toml(folder: &Path, objects: &Path) -> HiveToml {
    let component = example_component("tracks");
    let grants = format!(
        "allow = {{ publish = [], keyvalue = [\"tracks\"], blobstore = {{ tracks = \"file:{}\" }} }}\n\
         memory = \"256MiB\"\ntimeout = \"120s\"",
        objects.display()
    );
    HiveToml::new()
        .queue("tracks", "")
        .section(
            "store",
            &format!("path = \"{}\"", folder.join("tracks.db").display()),
        )
        .component_at("tracks", &component, &grants)
        .consumer(
            "tracks",
            "tracks",
            "batch = { size = 30, wait = \"200ms\" }\ndedup = { key = \"message-id\" }",
        )
}

fn in_directory(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a killed host was writing is no object: it has a `#` in its name.
        if !name.contains('#') {
            objects.push((name, std::fs::read(entry.path())?));
        }
    }
    Ok(objects)
}

/// The host ends at `step` of a delivery of the second batch; the broker then hands the messages out in other batches.
async fn assert_each_in_one_object_after(step: &str) -> Result<()> {
    const TRACKS: usize = 100;
    let vhost = Broker::shared().await?.vhost("tracks").await?;
    vhost.declare_queue("tracks", "quorum").await?;
    let [folder, objects] = [scratch("tracks"), scratch("objects")];
    let file = folder.join("hive.toml");
    std::fs::write(&file, toml(&folder, &objects).text(&vhost))?;
    let messages = |ids: std::ops::Range<usize>| {
        ids.map(|id| {
            Message::new(format!(r#"{{"title":"track {id}"}}"#))
                .with(|properties| properties.with_message_id(format!("t{id}").into()))
        })
    };
    vhost.publish_all("", "tracks", messages(0..TRACKS)).await?;
    let passes = match step {
        "batch.gathered" => 1,
        _ => 41,
    };
    let failpoints = format!("{step}={passes}*off->return");
    let mut armed = HostProcess::launch_armed_file(&file, &failpoints)?;
    let status = armed.wait().await?;
    assert_eq!(status.signal(), Some(SIGKILL), "at {step}: {status}");
    // Others come first, and the batches are cut elsewhere.
    vhost
        .publish_all("", "tracks", messages(TRACKS..TRACKS + 7))
        .await?;
    let mut host = HostProcess::launch_file(&file, &[])?;
    let look = async || Ok(archived(in_directory(&objects)?)?.len());
    let all = |count: &usize| *count == TRACKS + 7;
    eventually("every track is in an object", look, all).await?;
    all_settled(&vhost, &mut host).await?;
    assert_each_in_one(&archived(in_directory(&objects)?)?, TRACKS + 7);
    Ok(())
}

#[tokio::test]
async fn killed_with_a_batch_that_was_gathered() -> Result<()> {
    assert_each_in_one_object_after("batch.gathered").await
}

#[tokio::test]
async fn killed_after_the_upload_and_before_anything_was_settled() -> Result<()> {
    assert_each_in_one_object_after("delivery.handled").await
}

#[tokio::test]
async fn killed_before_a_key_is_committed() -> Result<()> {
    assert_each_in_one_object_after("dedup.committing").await
}

#[tokio::test]
async fn killed_before_the_acknowledgement() -> Result<()> {
    assert_each_in_one_object_after("ack.queued").await
}

#[tokio::test]
async fn the_example_tracks_is_checked_and_its_samples_come_to_what_they_say() -> Result<()> {
    let stage = Stage::new().await?;
    let toml = example("tracks").join("hive.toml");
    for verb in ["check", "test"] {
        let ran = run_to_end(&[verb, &toml.to_string_lossy()])?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let mut host = stage.host()?;
    let mut tracks = 0;
    for sample in std::fs::read_dir(example("tracks").join("messages"))? {
        let sample = sample?;
        let body = std::fs::read_to_string(sample.path())?;
        // Until the host is connected, it answers with 503 and publishes nothing.
        let posted = async || {
            let mut client = Client::connect(stage.port).await?;
            let json = "content-type: application/json\r\n";
            client.send("POST /api/t", json, &body).await
        };
        eventually("it is accepted", posted, |answer| answer.status == 202).await?;
        let name = sample.file_name().to_string_lossy().into_owned();
        tracks += usize::from(name.starts_with("archived"));
    }
    let look = async || Ok(stage.archived()?.len());
    eventually("the tracks are in objects", look, |count| *count == tracks).await?;
    stage.vhost.wait_ready("tracks.dead", 1).await?;
    host.stop().await
}
