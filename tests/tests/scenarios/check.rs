//! `hive-host check`: what is wrong, all of it, and nothing started.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hive_tests::{HiveToml, Message, check, run_to_end, scratch};

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
    assert_faults(&with_component("text.wasm"), &["letters", "text.wasm"]);
    assert_faults(
        &with_component("core_module.wat"),
        &["letters", "core_module.wat"],
    );
    assert_faults(
        &with_component("no_handler.wat"),
        &["letters", "hive:consumer/handler"],
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
    assert_faults(&toml, &["letters", "not-there.wasm"]);
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
    refused.wait_for_line("hive:consumer/handler").await?;
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
