//! The examples as their README runs them: their own hive.toml and their own sample messages, each
//! sample coming to what its name says.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hive_tests::{
    Broker, HostProcess, Message, Vhost, built_example, example, reserve_ports, run_to_end, scratch,
};

use crate::http::client::request;

/// An example, and where its messages come from and go to.
struct Example {
    folder: PathBuf,
    queue: &'static str,
    /// Each queue with how many messages the samples make there.
    makes: &'static [(&'static str, usize)],
}

#[tokio::test]
async fn example_webhook_js() -> Result<()> {
    come_to_what_they_say(Example {
        folder: built_example("webhook-js"),
        queue: "webhooks.received",
        makes: &[
            ("webhooks.mail", 2),
            ("webhooks.stock", 2),
            ("webhooks.desk", 1),
        ],
    })
    .await
}

#[tokio::test]
async fn example_webhook_ts() -> Result<()> {
    come_to_what_they_say(Example {
        folder: built_example("webhook-ts"),
        queue: "pushes.received",
        makes: &[("pushes.shop", 1), ("pushes.finance", 1), ("pushes.web", 1)],
    })
    .await
}

#[tokio::test]
async fn example_cleaning_python() -> Result<()> {
    come_to_what_they_say(Example {
        folder: built_example("cleaning-python"),
        queue: "readings.files",
        makes: &[("readings.all", 3), ("readings.reports", 2)],
    })
    .await
}

#[tokio::test]
async fn example_frames_c() -> Result<()> {
    come_to_what_they_say(Example {
        folder: built_example("frames-c"),
        queue: "frames",
        makes: &[("positions", 2)],
    })
    .await
}

#[tokio::test]
async fn example_invoices_go() -> Result<()> {
    come_to_what_they_say(Example {
        folder: built_example("invoices-go"),
        queue: "invoices.received",
        makes: &[("invoices.booked", 2), ("invoices.large", 1)],
    })
    .await
}

#[tokio::test]
async fn example_routes() -> Result<()> {
    come_to_what_they_say(Example {
        folder: checked_and_tested("routes")?,
        queue: "orders.created",
        makes: &[("audit.germany", 1), ("orders.short", 1)],
    })
    .await
}

#[tokio::test]
async fn example_by_key() -> Result<()> {
    come_to_what_they_say(Example {
        folder: checked_and_tested("by-key")?,
        queue: "mails",
        makes: &[("mails.outgoing", 2)],
    })
    .await
}

#[tokio::test]
async fn example_requests() -> Result<()> {
    // Where it builds its components, they are there for `test`.
    for component in ["quotes", "prices"] {
        hive_tests::example_component(component);
    }
    come_to_what_they_say(Example {
        folder: checked_and_tested("requests")?,
        queue: "orders.placed",
        makes: &[("orders.quoted", 2)],
    })
    .await
}

#[tokio::test]
async fn example_contracts() -> Result<()> {
    come_to_what_they_say(Example {
        folder: checked_and_tested("contracts")?,
        queue: "orders.placed",
        makes: &[("orders.paid", 1)],
    })
    .await
}

/// The folder of an example whose components are there, once `check` and `test` have nothing to say against it.
fn checked_and_tested(name: &str) -> Result<PathBuf> {
    let folder = example(name);
    let toml = folder.join("hive.toml");
    for verb in ["check", "test"] {
        let ran = run_to_end(&[verb, &toml.to_string_lossy()])?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    Ok(folder)
}

#[tokio::test]
async fn example_schedules() -> Result<()> {
    let toml = example("schedules").join("hive.toml");
    let path = toml.to_string_lossy().into_owned();
    for verb in [vec!["check"], vec!["schedule", "list"]] {
        let shown = run_to_end(&[verb, vec![path.as_str()]].concat())?;
        assert_eq!(shown.code, Some(0), "{shown:?}");
        let nightly = "schedule nightly: \"0 3 * * *\" in Europe/Berlin";
        assert!(shown.stdout.contains(nightly), "{shown:?}");
        // Three firings of each.
        assert_eq!(shown.stdout.matches("  fires at ").count(), 6, "{shown:?}");
        assert!(shown.stdout.contains("T03:00:00+0"), "{shown:?}");
    }
    let vhost = Broker::shared().await?.vhost("example").await?;
    let variables = [("RABBITMQ_URL", &*vhost.url()), ("HIVE_LOG_FORMAT", "json")];
    let mut host = HostProcess::launch_file(&toml, &variables)?;
    let ticks = vhost.take("ticks", 2).await?;
    assert_eq!(ticks[0].text(), "tick");
    assert!(
        ticks[0].id().starts_with("schedule:ticks:"),
        "{}",
        ticks[0].id()
    );
    host.stop().await
}

#[tokio::test]
async fn example_http_in() -> Result<()> {
    let toml = example("http-in").join("hive.toml");
    let checked = run_to_end(&["check", &toml.to_string_lossy()])?;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let route = "http POST /api/{tenant}/t: publishes to exchange \"tracks\"";
    assert!(checked.stdout.contains(route), "{checked:?}");
    let vhost = Broker::shared().await?.vhost("example").await?;
    let [port] = reserve_ports()?;
    let variables = [
        ("RABBITMQ_URL", &*vhost.url()),
        ("HIVE_LOG_FORMAT", "json"),
        ("LISTEN", &format!("127.0.0.1:{port}")),
    ];
    let mut host = HostProcess::launch_file(&toml, &variables)?;
    crate::http::client::ready(&host).await?;
    let send = async |line, headers, body| request(port, line, headers, body).await;
    let track = r#"{"artist": "Can", "title": "Vitamin C"}"#;
    let json = "content-type: application/json\r\n";
    assert_eq!(send("POST /api/acme/t", json, track).await?.status, 202);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let sent = send("POST /api/acme/t", form, "artist=Can&title=Halleluwah").await?;
    assert_eq!(sent.status, 202);
    assert_eq!(send("PUT /api/catalogue", json, "{}").await?.status, 401);
    let played = vhost.take("tracks.all", 2).await?;
    assert_eq!(played[0].text(), track);
    assert_eq!(played[0].routing_key, "acme.played");
    assert_eq!(played[0].text_of("tenant").as_deref(), Some("acme"));
    assert_eq!(played[1].text(), r#"{"artist":"Can","title":"Halleluwah"}"#);
    host.stop().await
}

async fn come_to_what_they_say(one: Example) -> Result<()> {
    let vhost = Broker::shared().await?.vhost("example").await?;
    let mut host = launch(&one.folder, &vhost)?;
    host.wait_for_start().await?;
    let mut classes = Vec::new();
    for sample in std::fs::read_dir(one.folder.join("messages"))? {
        let path = sample?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.context("a sample has a name")?;
        match name.split('-').next() {
            Some(class @ ("rejected" | "schema")) => classes.push(class.to_owned()),
            Some("published" | "acked") => {}
            _ => bail!("{name} does not say what becomes of it"),
        }
        let message = Message::new(std::fs::read(&path)?);
        vhost.publish("", one.queue, message).await?;
    }
    let dead = format!("{}.dead", one.queue);
    let dead = vhost.take(&dead, classes.len()).await?;
    let mut reasons: Vec<_> = dead
        .iter()
        .filter_map(|dead| dead.text_of("x-hive-reason"))
        .collect();
    reasons.sort();
    classes.sort();
    assert_eq!(reasons, classes);
    for (queue, count) in one.makes {
        vhost.take(queue, *count).await?;
    }
    host.stop().await?;
    for (queue, _) in one.makes {
        assert_eq!(vhost.ready(queue).await?, 0, "too much came to `{queue}`");
    }
    assert_eq!(vhost.ready(one.queue).await?, 0, "some are not handled");
    Ok(())
}

/// Runs the example's own file, on an admin port that nobody else has.
fn launch(folder: &Path, vhost: &Vhost) -> Result<HostProcess> {
    let own = std::fs::read_to_string(folder.join("hive.toml"))?;
    let at_home = |key: &str| format!("{key}{}/", folder.display());
    let text = own
        .replace("[host]\n", "[host]\nadmin = \"127.0.0.1:0\"\n")
        .replace("path = \"", &at_home("path = \""))
        .replace("body = \"schemas/", &(at_home("body = \"") + "schemas/"));
    let file = scratch("example").join("hive.toml");
    std::fs::write(&file, text)?;
    HostProcess::launch_file(&file, &[("RABBITMQ_URL", vhost.url().as_str())])
}
