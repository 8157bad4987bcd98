//! The page in Debian's Chromium: each of its commands is given by clicks and looked for at the broker, and axe looks at
//! every view. The stories are in `tests/page`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hive_tests::{
    Broker, Commands, HiveToml, HostProcess, Message, Vhost, eventually, guest, scratch,
    target_folder, toolchains, workspace,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{JSON, TOKEN, VIEWER};
use crate::assert_says;
use crate::retry::dead_group::dead_letter;

/// When the dead letters died.
const DIED: u64 = 1_700_000_000;

/// A browser that starts beside much else takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A script of `tests/page` that runs in a browser of its own. Killed when it is dropped.
pub(super) struct Story {
    child: Child,
    says: Lines<BufReader<ChildStdout>>,
    answers: ChildStdin,
}

impl Story {
    pub(super) async fn begin(
        name: &str,
        host: &HostProcess,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let packages = target_folder().join("page");
        ensure!(
            packages.join("stamp").is_file(),
            "{} is not there: scripts/prepare-page gets it",
            packages.display()
        );
        let mut child = Command::new(toolchains().join("bin/node"))
            .arg(workspace().join("tests/page").join(name))
            .env(
                "HIVE_PAGE_URL",
                format!("http://localhost:{}", host.admin_port().await?),
            )
            .env("HIVE_PAGE_PACKAGES", packages)
            // What the browser keeps of its own.
            .env("HOME", scratch("browser"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let says = child.stdout.take().context("stdout is piped")?;
        let answers = child.stdin.take().context("stdin is piped")?;
        Ok(Self {
            child,
            says: BufReader::new(says).lines(),
            answers,
        })
    }

    /// Waits until the story is at this step. It goes on when the test does: with the next one.
    pub(super) async fn at(&mut self, step: &str) -> Result<()> {
        let line = tokio::time::timeout(PATIENCE, self.says.next_line()).await;
        match line {
            Ok(Ok(Some(line))) if line == step => Ok(()),
            Ok(Ok(Some(line))) => bail!("the story is at {line:?} and not at {step:?}"),
            _ => bail!(
                "the story did not come to {step:?}: {}",
                self.errors().await
            ),
        }
    }

    pub(super) async fn go_on(&mut self) -> Result<()> {
        Ok(self.answers.write_all(b"\n").await?)
    }

    pub(super) async fn end(mut self) -> Result<()> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let is_over = ended.is_ok_and(|ended| ended.is_ok_and(|status| status.success()));
        ensure!(is_over, "the story failed: {}", self.errors().await);
        Ok(())
    }

    async fn errors(&mut self) -> String {
        let _ended = self.child.start_kill();
        let mut text = String::new();
        if let Some(errors) = &mut self.child.stderr {
            let _read = errors.read_to_string(&mut text).await;
        }
        text
    }
}

/// Where the pictures of the documents go, if they are asked for.
fn pictures() -> Option<String> {
    std::env::var_os("HIVE_PAGE_PICTURES")?;
    let folder = workspace().join("docs/page");
    Some(folder.to_string_lossy().into_owned())
}

/// Has a story make pictures.
fn pictured(folder: &str) -> (&str, &str) {
    ("HIVE_PAGE_PICTURES", folder)
}

fn named(body: &str, id: &str) -> Message {
    Message::new(body).with(|properties| properties.with_message_id(id.into()))
}

async fn state(host: &HostProcess, kind: &str, name: &str, key: &str) -> Result<Value> {
    let answer = host.admin("/v1/status").await?;
    let status: Value = serde_json::from_str(&answer.body)?;
    let all = status[format!("{kind}s")]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = all.iter().find(|one| one[kind] == name);
    Ok(found.context("it is there")?[key].clone())
}

async fn wait_acked(host: &HostProcess, consumer: &str, count: f64) -> Result<()> {
    let series = format!("hive_deliveries_total{{consumer=\"{consumer}\",outcome=\"acked\"}}");
    let look = async || host.metric(&series).await;
    eventually("they are acknowledged", look, |acked| *acked >= count).await?;
    Ok(())
}

#[tokio::test]
async fn each_command_of_the_page_is_carried_out() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-actions").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("other", "")
        .queue("aside", "")
        .component("ack", "")
        .component("fail", "")
        .consumer("letters", "ack", "")
        .consumer(
            "other",
            "fail",
            "retry = \"none\"\nscale = { min = 1, max = 3, messages_per_instance = 10 }",
        );
    let host = HostProcess::run(&vhost, &toml).await?;
    let dead = [
        dead_letter("o-17", "{}", "error", "order 17 has no price", DIED),
        dead_letter("o-18", "{}", "error", "order 18 has no price", DIED),
        dead_letter(
            "<b>x-1</b>",
            "<script>alert(\"body\")</script>\u{1b}[2J",
            "error",
            "<img src=x onerror=alert(1)>",
            DIED,
        )
        .text_header("note", "<i onmouseover=alert(1)>header</i>"),
        dead_letter("t-1", "{}", "trap", "boom", DIED),
    ];
    for letter in dead {
        vhost.publish("", "letters.dead", letter).await?;
    }
    vhost.wait_ready("letters.dead", 4).await?;
    let code = guest("ack");
    let code = code.to_string_lossy();
    let mut story = Story::begin("actions.mjs", &host, &[("HIVE_PAGE_CODE", &code)]).await?;

    story.at("paused").await?;
    assert_eq!(
        state(&host, "consumer", "letters", "state").await?,
        "paused"
    );
    vhost.publish("", "letters", named("x", "m-1")).await?;
    vhost.wait_ready("letters", 1).await?;
    story.go_on().await?;
    story.at("resumed").await?;
    vhost.wait_ready("letters", 0).await?;
    story.go_on().await?;
    story.at("paused again").await?;
    assert_eq!(
        state(&host, "consumer", "letters", "state").await?,
        "paused"
    );
    story.go_on().await?;
    story.at("group republished").await?;
    vhost.wait_ready("letters", 2).await?;
    vhost.wait_ready("letters.dead", 2).await?;
    story.go_on().await?;
    story.at("edited").await?;
    let edited = vhost.take_one("aside").await?;
    assert_eq!(edited.text(), "tea");
    assert!(
        edited.id().starts_with("<b>x-1</b>-edit-"),
        "{}",
        edited.id()
    );
    vhost.wait_ready("letters.dead", 1).await?;
    story.go_on().await?;
    story.at("message republished").await?;
    vhost.wait_ready("letters", 3).await?;
    vhost.wait_ready("letters.dead", 0).await?;
    for id in ["o-19", "o-20"] {
        let letter = dead_letter(id, "{}", "error", "no price", DIED);
        vhost.publish("", "letters.dead", letter).await?;
    }
    vhost.wait_ready("letters.dead", 2).await?;
    story.go_on().await?;
    story.at("one more, before it is purged").await?;
    let letter = dead_letter("o-21", "{}", "error", "no price", DIED);
    vhost.publish("", "letters.dead", letter).await?;
    vhost.wait_ready("letters.dead", 3).await?;
    story.go_on().await?;
    story.at("purged").await?;
    vhost.wait_ready("letters.dead", 0).await?;
    vhost.wait_ready("letters", 3).await?;
    story.go_on().await?;

    story.at("swapped").await?;
    vhost.publish("", "other", named("x", "m-2")).await?;
    wait_acked(&host, "other", 1.0).await?;
    story.go_on().await?;
    story.at("rolled back").await?;
    vhost.publish("", "other", named("x", "m-3")).await?;
    vhost.wait_ready("other.dead", 1).await?;
    story.go_on().await?;
    story.at("a shadow").await?;
    let shadow = state(&host, "component", "fail", "shadow").await?;
    assert_eq!(
        (&shadow["generation"], &shadow["wanted"]),
        (&json!(4), &json!(20))
    );
    vhost.publish("", "other", named("x", "m-shadow")).await?;
    vhost.wait_ready("other.dead", 2).await?;
    story.go_on().await?;
    story.at("compared").await?;
    story.go_on().await?;
    story.at("shadow dropped").await?;
    assert_eq!(
        state(&host, "component", "fail", "shadow").await?,
        Value::Null
    );
    vhost.publish("", "other", named("x", "m-dropped")).await?;
    vhost.wait_ready("other.dead", 3).await?;
    story.go_on().await?;
    story.at("shadow promoted").await?;
    vhost.publish("", "other", named("x", "m-promoted")).await?;
    wait_acked(&host, "other", 2.0).await?;
    story.go_on().await?;
    story.at("on trial").await?;
    let canary = state(&host, "component", "fail", "canary").await?;
    assert_eq!(
        (&canary["generation"], &canary["percent"]),
        (&json!(7), &json!(50.0))
    );
    story.go_on().await?;
    story.at("trial ended").await?;
    assert_eq!(
        state(&host, "component", "fail", "canary").await?,
        Value::Null
    );
    vhost.publish("", "other", named("x", "m-4")).await?;
    vhost.wait_ready("other.dead", 4).await?;
    story.go_on().await?;
    story.at("on trial again").await?;
    story.go_on().await?;
    story.at("promoted").await?;
    assert_eq!(
        state(&host, "component", "fail", "generation").await?,
        json!(8)
    );
    vhost.publish("", "other", named("x", "m-5")).await?;
    wait_acked(&host, "other", 3.0).await?;
    story.go_on().await?;
    story.at("bounds set").await?;
    let scale = state(&host, "consumer", "other", "scale").await?;
    assert_eq!((&scale["min"], &scale["max"]), (&json!(2), &json!(5)));
    let workers = async || host.metric("hive_workers{consumer=\"other\"}").await;
    eventually("two workers are there", workers, |now| *now == 2.0).await?;
    story.go_on().await?;
    story.at("bounds as written").await?;
    let scale = state(&host, "consumer", "other", "scale").await?;
    assert_eq!(scale["by_hand"], false, "{scale}");
    story.go_on().await?;
    story.end().await
}

#[tokio::test]
async fn deliveries_are_watched_chosen_and_copied_as_test_files() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-watched").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("orders", "")
        .queue("parcels", "")
        .queue("out", "")
        .component("stdout", "")
        .component("fail", "")
        .component("publish", "")
        .consumer("letters", "stdout", "")
        .consumer("orders", "fail", "retry = { delays = [\"1h\"] }")
        .consumer("parcels", "publish", "");
    let folder = scratch("page-watched");
    let file = HiveToml::write(&folder, &toml.text(&vhost))?;
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let publish = async |queue: &str, body: &str, id: &str| {
        let letter = named(body, id).text_header("tenant", "acme");
        vhost.publish("", queue, letter).await
    };
    let place = folder.to_string_lossy();
    let mut story = Story::begin("live.mjs", &host, &[("HIVE_PAGE_FOLDER", &place)]).await?;
    story.at("watching").await?;
    let forged = "<script>alert(\"body\")</script>\u{1b}[2J";
    publish("letters", forged, "<b>x-1</b>").await?;
    publish("letters", "tea", "o-1").await?;
    publish("orders", "tea", "o-2").await?;
    publish("parcels", "{\"id\": 7}", "o-3").await?;
    story.go_on().await?;
    story.at("copied").await?;
    let tested = Commands::on_file(&file, &[]).run(&["test"], &[]).await?;
    assert_says(&tested, 0, &["2 passed, 0 failed"]);
    story.go_on().await?;
    story.at("failed alone").await?;
    publish("letters", "tea", "o-4").await?;
    publish("orders", "sugar", "o-5").await?;
    story.go_on().await?;
    story.at("of one tenant").await?;
    vhost.publish("", "parcels", named("x", "o-6")).await?;
    publish("orders", "tea", "o-6").await?;
    publish("parcels", "tea", "o-7").await?;
    story.go_on().await?;
    story.at("stopped").await?;
    publish("parcels", "tea", "o-8").await?;
    wait_acked(&host, "parcels", 4.0).await?;
    story.go_on().await?;
    story.at("watching again").await?;
    publish("parcels", "tea", "o-9").await?;
    story.go_on().await?;
    story.end().await
}

#[tokio::test]
async fn from_a_failing_consumer_to_an_empty_dead_letter_queue_by_clicks() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-repair").await?;
    let toml = HiveToml::one("letters", "fail", "retry = \"none\"");
    let host = HostProcess::run(&vhost, &toml).await?;
    for id in ["o-1", "o-2", "o-3"] {
        vhost.publish("", "letters", named("tea", id)).await?;
    }
    vhost.wait_ready("letters.dead", 3).await?;
    let code = guest("ack");
    let code = code.to_string_lossy();
    let pictures = pictures();
    let code = ("HIVE_PAGE_CODE", &*code);
    let variables: Vec<_> = [code]
        .into_iter()
        .chain(pictures.as_deref().map(pictured))
        .collect();
    let mut story = Story::begin("repair.mjs", &host, &variables).await?;
    story.at("found").await?;
    vhost.wait_ready("letters.dead", 3).await?;
    story.go_on().await?;
    story.at("repaired").await?;
    vhost.wait_ready("letters.dead", 0).await?;
    wait_acked(&host, "letters", 3.0).await?;
    story.go_on().await?;
    story.end().await
}

#[tokio::test]
async fn a_viewer_signs_in_and_finds_no_command() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-viewer").await?;
    let keys = format!(
        "admin = \"0.0.0.0:0\"\nadmin_token = \"{TOKEN}\"\nadmin_viewer_token = \"{VIEWER}\""
    );
    let toml = HiveToml::one("letters", "ack", "").host(&keys);
    let host = HostProcess::run(&vhost, &toml).await?;
    let letter = dead_letter("o-17", "{}", "error", "order 17 has no price", DIED);
    vhost.publish("", "letters.dead", letter).await?;
    vhost.wait_ready("letters.dead", 1).await?;
    let story = Story::begin("viewer.mjs", &host, &[("HIVE_PAGE_TOKEN", VIEWER)]).await?;
    story.end().await
}

/// A host with something to show: what works, what fails, what waits, and a queue that is missing.
async fn busy(vhost: &Vhost) -> Result<HostProcess> {
    let toml = HiveToml::new()
        .exchange("events", "type = \"topic\"")
        .queue(
            "letters",
            "bindings = [{ exchange = \"events\", routing_key = \"letter.*\" }]",
        )
        .queue("orders", "")
        .queue("payments", "")
        .component("ack", "")
        .component("fail", "")
        .component("stuck", "timeout = \"1h\"")
        .consumer("payments", "ack", "")
        .consumer("letters", "fail", "retry = { delays = [\"1h\"] }")
        .consumer("orders", "stuck", "")
        .section("queues.parcels", "passive = true")
        .section(
            "consumers.parcels",
            "queue = \"parcels\"\ncomponent = \"ack\"",
        );
    let host = HostProcess::launch(&toml.text(vhost))?;
    for consumer in ["letters", "orders", "payments"] {
        host.wait_for_start_of(consumer).await?;
    }
    for number in 0..8 {
        let id = format!("o-{number}");
        vhost
            .publish("", "letters", named("{\"id\": 7}", &id))
            .await?;
    }
    vhost.publish("", "orders", named("x", "order-1")).await?;
    let letters = [
        dead_letter(
            "o-17",
            "{\"id\":17,\"lines\":[{\"sku\":\"tea\"}]}",
            "error",
            "order 17 has no price",
            DIED,
        ),
        dead_letter(
            "o-18",
            "{\"id\":18}",
            "error",
            "order 18 has no price",
            DIED + 60,
        ),
        dead_letter("t-1", "{}", "trap", "boom", DIED + 70),
    ];
    for letter in letters {
        vhost
            .publish("", "letters.dead", letter.text_header("tenant", "acme"))
            .await?;
    }
    vhost.wait_ready("letters.dead", 3).await?;
    if std::env::var_os("HIVE_PAGE_PICTURES").is_some() {
        // Some lines for the charts of the pictures.
        for samples in 1..=9_usize {
            let many = 200 + 150 * (samples % 4);
            vhost
                .publish_all("", "payments", vec![Message::new("x"); many])
                .await?;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
    for verb in ["pause", "resume"] {
        let answer = host
            .command(&format!("/v1/consumers/letters/{verb}"), JSON)
            .await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(host)
}

#[tokio::test]
async fn every_view_is_accessible_light_and_dark_wide_and_narrow() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-views").await?;
    let host = busy(&vhost).await?;
    let pictures = pictures();
    let variables: Vec<_> = pictures.as_deref().map(pictured).into_iter().collect();
    let mut story = Story::begin("views.mjs", &host, &variables).await?;
    // In two colours and two sizes.
    for turn in 0..4 {
        story.at("live").await?;
        for number in 0..4 {
            let id = format!("live-{turn}-{number}");
            let queue = ["payments", "letters"][number % 2];
            let letter = named("{\"id\": 7}", &id).text_header("tenant", "acme");
            vhost.publish("", queue, letter).await?;
        }
        story.go_on().await?;
    }
    story.end().await
}
