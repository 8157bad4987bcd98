//! The audit: which commands a host was given, by whom, and what came of each.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, scratch};
use serde_json::{Value, json};

const TOKEN: &str = "open-sesame-1234";
const JSON: &str = "content-type: application/json\r\n";

/// What the host remembers, newest first, without the moments.
async fn audit(host: &HostProcess, headers: &str) -> Result<Vec<Value>> {
    let answer = host.admin_with("/v1/audit", headers).await?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    let mut entries: Vec<Value> = serde_json::from_str(&answer.body)?;
    for entry in &mut entries {
        let at = entry.as_object_mut().and_then(|entry| entry.remove("at"));
        let at = at.as_ref().and_then(Value::as_str).unwrap_or_default();
        anyhow::ensure!(at.starts_with("20") && at.ends_with('Z'), "{at:?}");
    }
    Ok(entries)
}

#[tokio::test]
async fn each_command_and_each_signal_is_a_line_and_an_entry() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("audit").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let file = scratch("audit").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    assert_eq!(audit(&host, "").await?, [Value::Null; 0]);
    for (path, status) in [
        ("/v1/consumers/letters/pause", 200),
        ("/v1/consumers/nobody/resume", 404),
        ("/v1/components/ack/swap?canary=5&deliveries=10", 200),
        ("/v1/consumers/letters/pause?force=true", 400),
    ] {
        let answer = host.command(path, JSON).await?;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    // What is read is no command, nor is what no path leads to.
    assert_eq!(host.admin("/v1/reload").await?.status, 405);
    assert_eq!(host.command("/v1/nothing", JSON).await?.status, 404);
    // A page of another site may not give commands.
    let form = "content-type: text/plain\r\n";
    assert_eq!(host.command("/v1/reload", form).await?.status, 415);
    host.sighup();
    let reloaded = [("command", "reload"), ("by", "signal SIGHUP")];
    let line = host.wait_for_event("audit", &reloaded).await?;
    assert_eq!(line.field("result").as_deref(), Some("ok"), "{line:?}");
    let good = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{good}\n[consumers"))?;
    host.sighup();
    // The faults of a file have codes of their own, which are in the log.
    let refused = [("by", "signal SIGHUP"), ("result", "refused")];
    host.wait_for_event("audit", &refused).await?;
    let local = |entry: Value| {
        let mut entry = entry;
        entry["by"] = "local".into();
        entry["from"] = "127.0.0.1".into();
        entry
    };
    let expected = [
        json!({"by": "signal SIGHUP", "command": "reload", "result": "refused"}),
        json!({"by": "signal SIGHUP", "command": "reload", "result": "ok"}),
        json!({"by": "unknown", "from": "127.0.0.1", "command": "reload", "result": "refused"}),
        local(
            json!({"command": "pause", "subject": "letters", "arguments": {"force": "true"}, "result": "refused"}),
        ),
        local(
            json!({"command": "swap", "subject": "ack", "arguments": {"canary": "5", "deliveries": "10"}, "result": "ok"}),
        ),
        local(json!({"command": "resume", "subject": "nobody", "result": "HIVE-0508"})),
        local(json!({"command": "pause", "subject": "letters", "result": "ok"})),
    ];
    assert_eq!(audit(&host, "").await?, expected);
    let fields = [
        ("by", "local"),
        ("from", "127.0.0.1"),
        ("command", "swap"),
        ("subject", "ack"),
        ("arguments", "canary = 5, deliveries = 10"),
        ("result", "ok"),
    ];
    host.wait_for_event("audit", &fields).await?;
    host.stop().await?;
    host.lines_to_the_end();
    let stopped = [
        ("by", "signal SIGTERM"),
        ("command", "stop"),
        ("result", "ok"),
    ];
    assert_eq!(host.count_events("audit", &stopped), 1);
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_is_recorded_and_none_is_shown() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("audit-token").await?;
    let keys = format!("admin = \"0.0.0.0:0\"\nadmin_token = \"{TOKEN}\"");
    let toml = HiveToml::one("letters", "ack", "").host(&keys);
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let wrong = "a-wrong-token-5678";
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let pause = format!("/v1/consumers/letters/pause?all_hosts=false&token={TOKEN}");
    let denied = host
        .command(&pause, &format!("{JSON}{}", bearer(wrong)))
        .await?;
    assert_eq!(denied.status, 401, "{denied:?}");
    let answer = host
        .command(
            "/v1/consumers/letters/pause",
            &format!("{JSON}{}", bearer(TOKEN)),
        )
        .await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Other machines reach this one, so it says nothing to a client without the token.
    assert_eq!(host.admin("/v1/audit").await?.status, 401);
    let entries = audit(&host, &bearer(TOKEN)).await?;
    let expected = [
        json!({"by": "admin", "from": "127.0.0.1", "command": "pause", "subject": "letters", "result": "ok"}),
        json!({"by": "unknown", "from": "127.0.0.1", "command": "pause", "subject": "letters",
            "arguments": {"all_hosts": "false"}, "result": "HIVE-0506"}),
    ];
    assert_eq!(entries, expected);
    host.stop().await?;
    let printed = host.lines_to_the_end();
    // Both, and the stop.
    assert_eq!(host.count_events("audit", &[]), 3, "{printed:?}");
    for secret in [TOKEN, wrong] {
        assert!(
            !printed.iter().any(|line| line.contains(secret)),
            "{secret}"
        );
    }
    Ok(())
}
