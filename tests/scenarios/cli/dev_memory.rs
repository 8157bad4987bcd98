//! `hive-host dev` with a broker in its own process: for whom there is none.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::{HostProcess, Shell, eventually, guest, run_to_end, scratch};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

/// Nobody listens there.
const NO_BROKER: &str = "[connections.main]\nurl = \"amqp://guest:guest@127.0.0.1:1/%2f\"\n";

/// A folder with a hive.toml whose component is a copy of the file that `source.txt` names.
fn project(label: &str, connections: &str) -> Result<(PathBuf, String)> {
    let folder = scratch(label);
    point_at(&folder, &guest("ack"))?;
    let file = folder.join("hive.toml");
    let text = "[host]\nadmin = \"off\"\n[queues.letters]\n[queues.out]\n\
                [components.scribe]\npath = \"made.wasm\"\nbuild = 'cp \"$(cat source.txt)\" made.wasm'\n\
                [consumers.letters]\nqueue = \"letters\"\ncomponent = \"scribe\"\n";
    std::fs::write(&file, format!("{connections}{text}"))?;
    let file = file.to_string_lossy().into_owned();
    Ok((folder, file))
}

fn point_at(folder: &Path, guest: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("source.txt"), guest.display().to_string())
}

/// Connects to the URL that `dev` prints.
async fn client(host: &HostProcess) -> Result<Connection> {
    let line = host.wait_for_output("in memory: ").await?;
    let (_, url) = line.split_once("in memory: ").context("it was just seen")?;
    Ok(Connection::connect(url, ConnectionProperties::default()).await?)
}

async fn publish(client: &Connection, queue: &str, body: &str) -> Result<()> {
    let channel = client.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let (queue, body) = (queue.into(), body.as_bytes());
    let published = channel.basic_publish("".into(), queue, options, body, properties);
    published.await?.await?;
    Ok(())
}

/// Takes a message off a queue. A queue that is not there is an error of this channel alone.
async fn take(client: &Connection, queue: &str) -> Result<Option<String>> {
    let channel = client.create_channel().await?;
    let options = BasicGetOptions { no_ack: true };
    let got = channel.basic_get(queue.into(), options).await?;
    Ok(got.map(|got| String::from_utf8_lossy(&got.delivery.data).into_owned()))
}

#[tokio::test]
async fn without_a_connection_a_broker_runs_in_the_process_and_keeps_all_over_a_build() -> Result<()>
{
    let (folder, file) = project("dev-memory", "")?;
    let mut host = HostProcess::launch_command(&["dev", &file, "--port", "0"])?;
    let client = client(&host).await?;
    let channel = client.create_channel().await?;
    let (options, arguments) = (QueueDeclareOptions::default(), FieldTable::default());
    channel
        .queue_declare("mine".into(), options, arguments)
        .await?;
    publish(&client, "mine", "kept").await?;
    host.wait_for_output("built scribe in ").await?;

    point_at(&folder, &guest("publish"))?;
    // The new code publishes what comes, once it serves.
    let look = async || {
        publish(&client, "letters", "hello").await?;
        take(&client, "out").await
    };
    let published = eventually("the new code serves", look, Option::is_some).await?;
    assert_eq!(published.as_deref(), Some("hello"));
    assert_eq!(take(&client, "mine").await?.as_deref(), Some("kept"));
    host.stop().await
}

#[tokio::test]
async fn it_wins_over_the_connections_of_the_file_where_it_is_asked_for() -> Result<()> {
    let (folder, file) = project("dev-memory-forced", NO_BROKER)?;
    let feed = folder.join("feed.jsonl");
    std::fs::write(&feed, "{\"message-id\": \"first\", \"body\": \"hello\"}\n")?;
    let feed = feed.to_string_lossy();
    let arguments = [
        "dev", &file, "--broker", "memory", "--port", "0", "--feed", &feed,
    ];
    let mut host = HostProcess::launch_command(&arguments)?;
    host.wait_for_output("letters first: ack (").await?;
    host.stop().await
}

#[tokio::test]
async fn a_fault_of_hive_toml_is_told_once_and_a_build_goes_on() -> Result<()> {
    let (folder, file) = project("dev-fault", "")?;
    let mut host = HostProcess::launch_command(&["dev", &file, "--port", "0"])?;
    host.wait_for_output("consumer=letters queue=letters")
        .await?;
    let whole = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{whole}prefetsch = 3\n"))?;
    host.wait_for_output("prefetsch` is not a known key")
        .await?;
    host.wait_for_output("hive.toml: 1 error").await?;
    for guest_name in ["publish", "ack", "publish"] {
        let built = count(&host, "built scribe in");
        point_at(&folder, &guest(guest_name))?;
        let again = || async { Ok(count(&host, "built scribe in")) };
        eventually("it is built again", again, |now| *now > built).await?;
    }
    std::fs::write(&file, format!("{whole}prefetch = 3\n"))?;
    host.wait_for_output("prefetch").await?;
    host.wait_for_output("reloaded: ").await?;
    assert_eq!(count(&host, "hive.toml: 1 error"), 1);
    assert_eq!(
        count(&host, "prefetsch"),
        2,
        "the message and the line of the file"
    );
    host.stop().await
}

/// The lines with this text.
fn count(host: &HostProcess, text: &str) -> usize {
    let lines = host.lines();
    lines.iter().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn an_install_of_packages_builds_again() -> Result<()> {
    let (folder, file) = project("dev-install", "")?;
    // As a build that needs a package.
    let text = std::fs::read_to_string(&file)?;
    let build = "test -e node_modules/dayjs && cp \"$(cat source.txt)\" made.wasm";
    let text = text.replace("cp \"$(cat source.txt)\" made.wasm", build);
    std::fs::write(&file, text)?;
    let mut host = HostProcess::launch_command(&["dev", &file, "--port", "0"])?;
    host.wait_for_output("waiting for a change of the sources")
        .await?;
    std::fs::create_dir_all(folder.join("node_modules/dayjs"))?;
    std::fs::write(folder.join("node_modules/.package-lock.json"), "{}")?;
    host.wait_for_output("consumer=letters queue=letters")
        .await?;
    host.stop().await
}

#[tokio::test]
async fn keys_at_a_terminal_build_feed_and_end() -> Result<()> {
    let (folder, _) = project("dev-keys", "")?;
    let feed = "{\"message-id\": \"one\", \"body\": \"hello\"}\n";
    std::fs::write(folder.join("feed.jsonl"), feed)?;
    let program = "sh -c 'hive-host dev --port 0 --feed feed.jsonl; echo en\"\"ded $?'";
    let mut terminal = Shell::within(&folder).at_a_terminal(program)?;
    terminal.shows("keys, each with Enter").await?;
    terminal.shows("letters one: ack (").await?;
    // The file is read again.
    std::fs::write(folder.join("feed.jsonl"), feed.replace("one", "two"))?;
    terminal.types("f\n")?;
    terminal.shows("letters two: ack (").await?;
    // What a build may need is nothing that `dev` can see.
    std::fs::write(folder.join("made.wasm"), "gone")?;
    terminal.types("r\n")?;
    terminal.shows("scribe: the same code as before").await?;
    terminal.types("q\n")?;
    terminal.shows("ended 0").await
}

#[test]
fn a_port_in_use_is_named_with_the_flags_that_help() -> Result<()> {
    let (_, file) = project("dev-memory-port", "")?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let port = address.port().to_string();
    let refused = run_to_end(&["dev", &file, "--port", &port])?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for told in [&*address.to_string(), "--port", "--broker URL"] {
        assert!(refused.stderr.contains(told), "{told}: {refused:?}");
    }
    Ok(())
}

#[test]
fn a_port_of_no_broker_in_the_process_is_refused() -> Result<()> {
    let (_, file) = project("dev-memory-misused", NO_BROKER)?;
    let refused = run_to_end(&["dev", &file, "--port", "0"])?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--broker memory"), "{refused:?}");
    Ok(())
}
