//! `hive-host check`: what is wrong, all of it, and nothing started.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::{Broker, Commands, HiveToml, Message, Version, check, run_to_end, scratch};

use crate::consuming;

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

fn good() -> HiveToml {
    HiveToml::one("letters", "ack", "")
}

/// A component file with this content, that is no component or not the right one.
fn broken_component(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("broken")
        .join(name);
    let copy = scratch("broken").join(name);
    std::fs::copy(&source, &copy).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    copy
}

fn with_component(file: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .component_at("letters", &broken_component(file), "")
        .consumer("letters", "letters", "")
}

/// Expects exit code 2 and each of these words on standard error.
#[track_caller]
fn assert_faults(toml: &HiveToml, words: &[&str]) {
    let text = toml.text_for(NO_BROKER);
    let finished = check(&text).expect("hive-host can be run");
    assert_eq!(finished.code, Some(2), "{}\nfor\n{text}", finished.stderr);
    for word in words {
        let told = &finished.stderr;
        assert!(
            told.contains(word),
            "`{word}` is not told:\n{told}\nfor\n{text}"
        );
    }
}

#[test]
fn a_good_file_passes_without_a_broker() -> Result<()> {
    let finished = check(&good().text_for(NO_BROKER))?;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    Ok(())
}

#[test]
fn s33_a_bad_component_is_named() {
    assert_faults(
        &with_component("text.wasm"),
        &["error[HIVE-0303]", "letters", "text.wasm"],
    );
    assert_faults(
        &with_component("core_module.wat"),
        &["error[HIVE-0304]", "letters", "core_module.wat"],
    );
    assert_faults(
        &with_component("no_handler.wat"),
        &["error[HIVE-0306]", "letters", "hive:consumer/handler"],
    );
    assert_faults(
        &with_component("unknown_import.wat"),
        &["letters", "acme:database/rows"],
    );
}

#[test]
fn s33_a_component_that_is_not_there_is_named() {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at("letters", Path::new("not-there.wasm"), "")
        .consumer("letters", "letters", "");
    let told = [
        "error[HIVE-0302]",
        "letters",
        "not-there.wasm",
        "cannot be read",
    ];
    assert_faults(&toml, &told);
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at(
            "letters",
            Path::new("not-there.wasm"),
            "build = \"make letters\"",
        )
        .consumer("letters", "letters", "");
    let told = [
        "error[HIVE-0301]",
        "letters",
        "not-there.wasm",
        "`make letters`",
    ];
    assert_faults(&toml, &told);
}

#[test]
fn s33_no_consumers_is_a_fault() {
    let toml = HiveToml::new().queue("letters", "").component("ack", "");
    assert_faults(&toml, &["consumers"]);
}

#[test]
fn s33_a_consumer_without_a_queue_is_named() {
    let toml = HiveToml::new()
        .component("ack", "")
        .section("consumers.letters", r#"component = "ack""#);
    assert_faults(&toml, &["letters", "queue"]);
}

#[test]
fn s33_a_count_that_is_no_number_is_named() {
    assert_faults(
        &good().section(
            "consumers.more",
            "queue = \"letters\"\ncomponent = \"ack\"\nprefetch = \"many\"",
        ),
        &["prefetch", "many"],
    );
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let toml = HiveToml::one("letters", "ack", "prefetsh = 5");
    assert_faults(&toml, &["prefetsh", "prefetch"]);
}

#[test]
fn every_fault_is_told_in_one_run() {
    let toml = good()
        .host(r#"shutdown_timeout = "soon""#)
        .queue("other", "durible = true")
        .section(
            "consumers.other",
            "queue = \"other\"\ncomponent = \"nobody\"\nconcurrency = 0",
        );
    assert_faults(
        &toml,
        &[
            "shutdown_timeout",
            "soon",
            "durible",
            "nobody",
            "concurrency",
        ],
    );
}

#[test]
fn a_file_that_is_not_there_or_no_toml_is_named() -> Result<()> {
    let finished = run_to_end(&["check", "no-such-hive.toml"])?;
    assert_eq!(finished.code, Some(2));
    assert!(
        finished.stderr.contains("no-such-hive.toml"),
        "{}",
        finished.stderr
    );
    let finished = check("[host\nname = 1")?;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    Ok(())
}

#[test]
fn a_command_that_is_not_there_is_the_command_lines_fault() -> Result<()> {
    assert_eq!(run_to_end(&["chekc", "hive.toml"])?.code, Some(2));
    assert_eq!(run_to_end(&[])?.code, Some(2));
    Ok(())
}

#[test]
fn help_goes_to_standard_output_and_is_no_fault() -> Result<()> {
    let finished = run_to_end(&["--help"])?;
    assert_eq!(finished.code, Some(0));
    assert!(finished.stdout.contains("check") && finished.stdout.contains("run"));
    Ok(())
}

/// The same faults at start: nothing is consumed, nothing declared.
#[tokio::test]
async fn run_refuses_what_check_refuses_and_starts_nothing() -> Result<()> {
    let (vhost, mut host) = consuming("check", good()).await?;
    host.stop().await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let toml = with_component("no_handler.wat").queue("never-declared", "");
    let mut refused = hive_tests::HostProcess::launch(&toml.text(&vhost))?;
    assert_eq!(refused.wait().await?.code(), Some(2));
    refused.wait_for_output("hive:consumer/handler").await?;
    assert_eq!(vhost.ready("letters").await?, 1, "nothing was consumed");
    assert!(
        !vhost.queues()?.contains(&"never-declared".to_owned()),
        "nothing was declared"
    );
    Ok(())
}

#[test]
fn a_component_whose_start_fails_is_named() {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("lifecycle", r#"config = { start = "refuse" }"#)
        .consumer("letters", "lifecycle", "");
    assert_faults(&toml, &["lifecycle", "lifecycle.start", "told to refuse"]);
}

/// The report of `hive-host check --json`.
async fn report(file: &Path, flags: &[&str]) -> Result<(Option<i32>, serde_json::Value)> {
    let file = file.to_string_lossy();
    let arguments = [&["check", &*file, "--json"], flags].concat();
    let finished = run_to_end(&arguments)?;
    let report = serde_json::from_str(&finished.stdout);
    Ok((
        finished.code,
        report.with_context(|| format!("{finished:?}"))?,
    ))
}

#[tokio::test]
async fn what_the_broker_has_is_compared_and_left_as_it_is() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("compared").await?;
    vhost.declare_queue("out", "classic").await?;
    vhost.declare_queue("there", "quorum").await?;
    let toml = HiveToml::new()
        .exchange("post", "type = \"topic\"")
        .queue("letters", "bindings = [{ exchange = \"post\" }]")
        .queue("there", "")
        .queue("out", "type = \"quorum\"")
        .component("ack", "")
        .consumer("letters", "ack", "retry = { delays = [\"1s\"] }")
        .consumer("elsewhere", "ack", "retry = { limit = 0 }");
    let file = scratch("compared").join("hive.toml");
    std::fs::write(&file, toml.text(&vhost))?;
    let before = vhost.queues()?;

    // Without the flag nobody is asked.
    let (code, told) = report(&file, &[]).await?;
    assert_eq!((code, &told["ok"]), (Some(0), &true.into()), "{told:#}");
    assert_eq!(told["brokers"], serde_json::json!([]));

    let (code, told) = report(&file, &["--broker"]).await?;
    assert_eq!((code, &told["ok"]), (Some(1), &false.into()), "{told:#}");
    let compared = &told["brokers"][0];
    assert_eq!(compared["vhost"], vhost.name());
    let words = |what: &str| -> Vec<String> {
        let all = compared[what].as_array().into_iter().flatten();
        all.map(ToString::to_string).collect()
    };
    let fitting = words("as-planned");
    assert!(
        fitting.len() == 1 && fitting[0].contains("there"),
        "{told:#}"
    );
    let missing = words("missing");
    // In the order in which they would be declared.
    let names = [
        "post",
        "letters",
        "elsewhere.dead",
        "letters.dead",
        "letters.retry.1s",
    ];
    for (name, missing) in names.iter().zip(&missing) {
        assert!(missing.contains(name), "{name}: {told:#}");
    }
    assert_eq!(missing.len(), 5, "{told:#}");
    let mismatches = words("mismatches");
    assert_eq!(mismatches.len(), 2, "{told:#}");
    assert!(mismatches[0].contains("x-queue-type"), "{told:#}");
    assert!(mismatches[1].contains("elsewhere"), "{told:#}");
    let codes = [0, 1].map(|index| &compared["mismatches"][index]["code"]);
    assert_eq!(codes, ["HIVE-0221", "HIVE-0223"], "{told:#}");
    assert_eq!(vhost.queues()?, before, "something was declared");

    let told = run_to_end(&["check", &file.to_string_lossy(), "--broker"])?;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stdout.contains("will be declared: queue \"letters\""),
        "{told:?}"
    );
    assert!(told.stderr.contains("change [queues.\"out\"]"), "{told:?}");
    assert!(told.stderr.contains("error[HIVE-0221]: "), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_running_host_has_declared_is_as_planned() -> Result<()> {
    let toml = HiveToml::one("letters", "ack", "retry = { delays = [\"1s\"] }")
        .exchange("post", "type = \"topic\"");
    let (vhost, mut host) = consuming("as-planned", toml.clone()).await?;
    let file = scratch("as-planned").join("hive.toml");
    std::fs::write(&file, toml.text(&vhost))?;
    let (code, told) = report(&file, &["--broker"]).await?;
    assert_eq!((code, &told["ok"]), (Some(0), &true.into()), "{told:#}");
    let compared = &told["brokers"][0];
    assert_eq!(compared["missing"], serde_json::json!([]), "{told:#}");
    let fitting = compared["as-planned"].as_array().map(Vec::len);
    // The exchange, the queue, its dead letters, and its delay queue.
    assert_eq!(fitting, Some(4), "{told:#}");
    host.stop().await
}

#[tokio::test]
async fn faults_are_told_to_scripts_with_their_place() -> Result<()> {
    let file = scratch("faults").join("hive.toml");
    let faulty = good()
        .text_for(NO_BROKER)
        .replace("queue = \"letters\"", "quue = \"letters\"");
    std::fs::write(&file, &faulty)?;
    let (code, told) = report(&file, &[]).await?;
    assert_eq!((code, &told["ok"]), (Some(2), &false.into()), "{told:#}");
    let line = faulty.lines().position(|line| line.contains("quue"));
    let line = line.context("the key is there")? + 1;
    let problems = told["problems"].as_array().context("a list")?;
    let about = problems.iter().find(|problem| problem["line"] == line);
    let about = about.with_context(|| format!("{told:#}"))?;
    assert_eq!(about["severity"], "error");
    assert_eq!(about["code"], "HIVE-0103");
    assert!(
        about["key"]
            .as_str()
            .is_some_and(|key| key.contains("quue")),
        "{about}"
    );

    std::fs::write(&file, good().text_for(NO_BROKER))?;
    let (code, told) = report(&file, &["--broker"]).await?;
    assert_eq!(code, Some(1), "{told:#}");
    let error = told["brokers"][0]["error"].as_str().unwrap_or_default();
    assert!(error.contains("127.0.0.1:1"), "{told:#}");
    assert_eq!(told["brokers"][0]["code"], "HIVE-0201", "{told:#}");
    assert!(!told.to_string().contains("guest:guest"), "{told:#}");

    let toml = with_component("no_handler.wat").text_for(NO_BROKER);
    std::fs::write(&file, toml)?;
    let (code, told) = report(&file, &[]).await?;
    assert_eq!(code, Some(2), "{told:#}");
    let message = told["problems"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("hive:consumer/handler"), "{told:#}");
    assert_eq!(told["problems"][0]["code"], "HIVE-0306", "{told:#}");
    Ok(())
}

#[test]
fn a_name_that_leaves_no_room_for_its_delay_queues_is_refused() -> Result<()> {
    const OWN: &str = "retry = { queues = \"own\" }";
    let fits = "q".repeat(223);
    let finished = check(&HiveToml::one(&fits, "ack", OWN).text_for(NO_BROKER))?;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let long = "q".repeat(224);
    let words = [
        "224 bytes",
        "delay queues",
        "223",
        "retry = \"none\"",
        "shared",
    ];
    assert_faults(&HiveToml::one(&long, "ack", OWN), &words);
    // Neither has delay queues with its name in theirs.
    for keys in ["retry = { limit = 0 }", ""] {
        let finished = check(&HiveToml::one(&long, "ack", keys).text_for(NO_BROKER))?;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
    Ok(())
}

/// The broker takes line ends out of a name and does not find it afterwards.
#[test]
fn a_name_with_control_characters_is_refused() {
    for name in ["line\\nend", "tab\\t", "escape\\u001b[31m", "nul\\u0000"] {
        let toml = HiveToml::new()
            .queue(name, "")
            .component("ack", "")
            .consumer(name, "ack", "");
        assert_faults(&toml, &["control characters"]);
    }
}

#[tokio::test]
async fn the_longest_name_that_check_takes_is_consumed_and_retried() -> Result<()> {
    let name = "q".repeat(223);
    let toml = HiveToml::one(&name, "fail", r#"retry = { limit = 1, delays = ["20ms"] }"#);
    let (vhost, _host) = consuming("names", toml).await?;
    vhost.publish("", &name, Message::new("hello")).await?;
    let dead = vhost.take_one(&format!("{name}.dead")).await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_line_says_what_becomes_of_each_consumers_messages() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("fates").await?;
    vhost.declare_queue("plain", "quorum").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("limited", "delivery_limit = 30")
        .queue("old", "type = \"classic\"")
        .component("ack", "")
        .consumer("letters", "ack", "")
        .consumer("limited", "ack", "")
        .consumer("old", "ack", "")
        .consumer("plain", "ack", "");
    let commands = Commands::on(&vhost, &toml)?;
    let checked = commands.run(&["check"], &["--broker", "--json"]).await?;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout)?;
    let plain = match broker.version() {
        Version::V3_10 => "comes back, however often",
        Version::V4_0 | Version::V4_3 => "comes back up to 20 times, then is lost",
    };
    let lines = checked["brokers"][0]["consumers"].as_array();
    let lines = lines.context("a line a consumer")?;
    for (line, (consumer, words)) in lines.iter().zip([
        ("letters", "comes back, however often"),
        (
            "limited",
            "comes back up to 30 times, then is dead-lettered to queue \"limited.dead\"",
        ),
        ("old", "a classic queue"),
        ("plain", plain),
    ]) {
        assert_eq!(line["consumer"], consumer);
        let text = line["messages"].as_str().context("the line")?;
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(lines.len(), 4);
    Ok(())
}
