//! Several hosts on one machine: each command reaches the one of its hive.toml, and no other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, eventually, run_to_end, scratch};
use serde_json::Value;

/// With each of the hosts in turn: a look, a pause, a look, and the end of the pause.
const ROUNDS: usize = 7;

/// A host that may take whatever port is free.
async fn host(label: &str) -> Result<(HostProcess, PathBuf)> {
    let vhost = Broker::shared().await?.vhost("hosts").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let text = toml.text(&vhost);
    let text = text.replace("admin = \"127.0.0.1:0\"\n", "");
    let file = scratch(label).join("hive.toml");
    std::fs::write(&file, text)?;
    let host = HostProcess::launch_file(&file, &[])?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "letters")])
        .await?;
    Ok((host, file))
}

fn told(verb: &str, file: &Path, arguments: &[&str]) -> Result<String> {
    let file = file.to_string_lossy();
    let finished = run_to_end(&[&[verb, &*file], arguments].concat())?;
    ensure!(finished.code == Some(0), "{verb}: {finished:?}");
    Ok(finished.stdout)
}

/// The file of the host that answers, and how its consumer stands.
fn state(file: &Path) -> Result<(PathBuf, String)> {
    let said: Value = serde_json::from_str(&told("status", file, &["--json"])?)?;
    let of = said["host"]["file"].as_str().context("no file")?;
    let state = said["consumers"][0]["state"].as_str().context("no state")?;
    Ok((of.into(), state.to_owned()))
}

/// The host of this file answers, and its consumer comes to stand so.
async fn assert_stands(file: &Path, expected: &str) -> Result<()> {
    let look = async || state(file);
    let what = format!("the consumer is {expected}");
    let (of, _) = eventually(&what, look, |(_, state)| state == expected).await?;
    assert_eq!(of, file.canonicalize()?);
    Ok(())
}

#[tokio::test]
async fn each_command_reaches_the_host_of_its_file() -> Result<()> {
    let (mut one, first) = host("hosts").await?;
    let (mut other, second) = host("hosts").await?;
    for _ in 0..ROUNDS {
        for (file, neighbour) in [(&first, &second), (&second, &first)] {
            told("pause", file, &["letters"])?;
            assert_stands(file, "paused").await?;
            assert_stands(neighbour, "consuming").await?;
            told("resume", file, &["letters"])?;
        }
    }
    let shown = told("status", &first, &[])?;
    assert!(shown.contains(&*first.to_string_lossy()), "{shown}");
    // A stopped host is found no more, and nobody stands in for it.
    one.stop().await?;
    let file = first.to_string_lossy();
    let gone = run_to_end(&["pause", &file, "letters"])?;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert_stands(&second, "consuming").await?;
    other.stop().await
}

#[tokio::test]
async fn a_command_for_another_host_is_refused_with_both_names() -> Result<()> {
    let (mut host, file) = host("hosts").await?;
    let port = host.admin_port().await?;
    let other = scratch("hosts").join("hive.toml");
    let text = format!("[host]\nname = \"others\"\nadmin = \"127.0.0.1:{port}\"\n");
    std::fs::write(&other, text)?;
    let path = other.to_string_lossy();
    for command in [
        &["status", &*path][..],
        &["pause", &path, "letters"],
        &["reload", &path],
    ] {
        let refused = run_to_end(command)?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for named in [
            "error[HIVE-0505]: ",
            "others",
            &path,
            &file.to_string_lossy(),
        ] {
            assert!(refused.stderr.contains(named), "{named}: {refused:?}");
        }
    }
    assert_stands(&file, "consuming").await?;
    // Whoever names the address means whoever is there.
    let address = format!("127.0.0.1:{port}");
    told("status", &other, &["--admin", &address, "--json"])?;
    host.stop().await
}

/// A host that other machines reach does not say which files its machine has, except to a client that sends its token.
#[tokio::test]
async fn a_host_that_others_reach_shows_no_file_without_the_token() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("hosts").await?;
    let token = "0123456789abcdef";
    let keys = format!("admin = \"0.0.0.0:0\"\nadmin_token = \"{token}\"");
    let toml = HiveToml::one("letters", "ack", "").host(&keys);
    let file = scratch("hosts").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let other = file.with_file_name("other.toml");
    std::fs::write(&other, "")?;
    let not_there = file.with_file_name("not-there.toml");
    let asks = async |file: &Path, name: &str, more: &str| {
        let file = file.display();
        let headers = format!("hive-file: {file}\r\nhive-host: {name}\r\n{more}");
        host.admin_with("/v1/status", &headers).await
    };
    // The same answer for its own file, for another one and for none.
    for path in [&file, &other, &not_there] {
        let seen = asks(path, "tests", "").await?;
        assert_eq!(seen.status, 200, "{path:?}: {seen:?}");
        assert!(!seen.body.contains("hive.toml"), "{seen:?}");
        let refused = asks(path, "others", "").await?;
        assert_eq!(refused.status, 409, "{path:?}: {refused:?}");
        assert!(!refused.body.contains(".toml"), "{refused:?}");
    }
    let known = format!("authorization: Bearer {token}\r\n");
    let seen = asks(&file, "tests", &known).await?;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.contains("hive.toml"), "{seen:?}");
    let refused = asks(&other, "tests", &known).await?;
    assert_eq!(refused.status, 409, "{refused:?}");
    // The command line sends the token that its file has.
    let (of, _) = state(&file)?;
    assert_eq!(of, file.canonicalize()?);
    host.stop().await
}
