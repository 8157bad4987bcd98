//! `hive-host invoke`: a message through a component, with no broker.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::{
    Commands, Finished, HiveToml, Language, built_example, guest, run_to_end, scratch,
};
use serde_json::Value;

use crate::assert_says;

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// Runs `hive-host invoke COMPONENT ARGUMENTS…` with this on its standard input.
async fn invoke(component: &Path, arguments: &[&str], input: &str) -> Result<Finished> {
    Commands::on_file(component, &[])
        .run_with(&["invoke"], arguments, input.as_bytes())
        .await
}

/// The JSON objects that it prints, whatever its exit code.
fn objects(finished: &Finished) -> Result<Vec<Value>> {
    let lines = finished.stdout.lines();
    let parsed = lines.map(|line| Ok(serde_json::from_str(line)?));
    parsed
        .collect::<Result<_>>()
        .with_context(|| format!("{finished:?}"))
}

fn file(name: &str, text: &str) -> Result<PathBuf> {
    let path = scratch("invoke").join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

#[tokio::test]
async fn answers_are_told_and_are_no_failures() -> Result<()> {
    let hello = r#"{"body": "hello", "headers": {"exchange": "post", "routing-key": "letter"}}"#;
    let published = invoke(&guest("publish"), &[], hello).await?;
    let to = "\"post\" with routing key \"letter\"";
    assert_says(
        &published,
        0,
        &["publish 1", to, "5 bytes, text", "hello", "KiB of memory"],
    );
    let acked = invoke(&guest("stdout"), &[], hello).await?;
    assert_says(
        &acked,
        0,
        &["ack\n", "stdout out says hello", "stderr err says hello"],
    );
    let retried = invoke(&guest("retry"), &["-H", "delay-ms:=1500"], "").await?;
    assert_says(&retried, 0, &["retry after 1.5s: not yet"]);
    let rejected = invoke(&guest("reject"), &["-p", "message-id=1"], "raw").await?;
    assert_says(&rejected, 0, &["reject: never: raw"]);
    Ok(())
}

#[tokio::test]
async fn what_the_component_does_wrong_is_a_failure_with_its_class() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("spin", "timeout = \"200ms\"")
        .consumer("letters", "spin", "");
    let config = file("hive.toml", &toml.text_for(NO_BROKER))?;
    let config = config.to_string_lossy().into_owned();
    let message = r#"{"body": "x"}"#;
    for (name, class, says) in [
        ("fail", "error", "cannot take x"),
        ("trap", "trap", "boom over x"),
        ("hog", "limit", "`memory` of the component raises it"),
    ] {
        let failed = invoke(&guest(name), &[], message).await?;
        assert_says(&failed, 1, &[&format!("failed ({class}): "), says]);
    }
    let spun = [
        "invoke", "spin", "--json", "-p", "type=x", "--config", &config,
    ];
    let spun = run_to_end(&spun)?;
    assert_says(&spun, 1, &["timeout of 200ms"]);
    assert_eq!(objects(&spun)?[0]["failure"], "timeout");
    Ok(())
}

#[tokio::test]
async fn json_is_the_action_with_what_it_took() -> Result<()> {
    let several = "{\"body\": \"a\", \"headers\": {\"do\": \"publish-several\"}}\n\
                   {\"body\": \"b\", \"headers\": {\"do\": \"retry-after\", \"delay-ms\": 7}}\n\
                   {\"body\": \"c\", \"headers\": {\"do\": \"error\"}}\n";
    let done = invoke(&guest("contract"), &["--json"], several).await?;
    assert_eq!(done.code, Some(1), "{done:?}");
    let objects = objects(&done)?;
    assert_eq!(objects.len(), 3, "{objects:?}");
    assert_eq!(objects[0]["action"], "publish");
    assert_eq!(objects[0]["publications"][2]["body"], "third");
    assert_eq!(
        (&objects[1]["action"], &objects[1]["delay-ms"]),
        (&"retry".into(), &7.into())
    );
    assert_eq!(
        (&objects[2]["failure"], &objects[2]["error"]),
        (&"error".into(), &"plain words".into())
    );
    for object in objects {
        assert!(
            object["time-ms"].is_f64() && object["memory-bytes"].as_u64() > Some(0),
            "{object}"
        );
        assert!(object["log"].is_array(), "{object}");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_of_batches_gets_all_lines_in_one_call() -> Result<()> {
    let lines = "{\"body\": \"1 ack\"}\n{\"body\": \"2 reject\"}\n{\"body\": \"3 publish\"}\n";
    let done = invoke(&guest("batch"), &[], lines).await?;
    let words = [
        "batch of 3: 1/1 2/1 3/1",
        "message 1: ack",
        "message 2: reject: asked to",
        "message 3: publish 1",
        "to queue           \"out\"",
    ];
    assert_says(&done, 0, &words);
    let refused = invoke(&guest("ack"), &["--batch"], lines).await?;
    assert_says(&refused, 2, &["no hive:consumer/batch-handler"]);
    Ok(())
}

#[tokio::test]
async fn a_measure_tells_reused_from_fresh_instances() -> Result<()> {
    let reused = invoke(&guest("ack"), &["--repeat", "20", "--json"], "{}").await?;
    let reused = objects(&reused)?;
    let (first, measured) = (&reused[0], &reused[1]);
    assert!(first["action"].is_string(), "{first}");
    assert_eq!(
        (&measured["calls"], &measured["instances"]),
        (&20.into(), &"reused".into())
    );
    let times = ["min-ms", "median-ms", "p99-ms"].map(|key| measured[key].as_f64());
    assert!(times.is_sorted() && times[0].is_some(), "{measured}");
    let fresh = invoke(&guest("ack"), &["--repeat", "5", "--fresh"], "{}").await?;
    assert_says(&fresh, 0, &["5 calls, instances fresh: min "]);
    let failing = invoke(&guest("fail"), &["--repeat", "3"], "{}").await?;
    assert_says(&failing, 1, &["3 answers are failures"]);
    Ok(())
}

#[tokio::test]
async fn grants_and_configuration_come_from_a_plan_alone() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("config", "config = { greeting = \"salut\" }")
        .consumer("letters", "config", "");
    let config = file("hive.toml", &toml.text_for(NO_BROKER))?;
    let config = config.to_string_lossy().into_owned();
    let message = file("message.json", "{\"body\": \"greeting\"}")?;
    let message = message.to_string_lossy().into_owned();
    let bare = invoke(&guest("config"), &["--message", &message], "").await?;
    assert_says(&bare, 1, &["failed (error): no greeting"]);
    let named = [
        "invoke",
        "config",
        "--config",
        &config,
        "--message",
        &message,
    ];
    assert_says(&run_to_end(&named)?, 0, &["salut"]);
    let as_named = [
        "--config",
        &config,
        "--name",
        "config",
        "--message",
        &message,
    ];
    assert_says(
        &invoke(&guest("config"), &as_named, "").await?,
        0,
        &["salut"],
    );
    let unknown = [
        "invoke",
        "confg",
        "--config",
        &config,
        "--message",
        &message,
    ];
    assert_says(&run_to_end(&unknown)?, 2, &["confg", "config"]);
    Ok(())
}

#[tokio::test]
async fn faults_of_component_and_message_are_told_with_their_place() -> Result<()> {
    let broken = file("broken.json", "{\n  \"bdy\": \"x\"\n}\n")?;
    let broken = broken.to_string_lossy().into_owned();
    let refused = invoke(&guest("ack"), &["--message", &broken], "").await?;
    assert_says(
        &refused,
        2,
        &[&format!("{broken}:2:3: `bdy` is an unknown key"), "`body`"],
    );
    let refused = invoke(&guest("ack"), &[], "{\"body\": \"x\"}\n{\"body\": }\n").await?;
    assert_says(&refused, 2, &["standard input:2:10: is not JSON"]);
    let refused = invoke(&guest("ack"), &[], "").await?;
    assert_says(&refused, 2, &["no message"]);
    let refused = invoke(Path::new("not-there.wasm"), &[], "{}").await?;
    assert_says(&refused, 2, &["not-there.wasm"]);
    let text = file("text.wasm", "no component")?;
    assert_says(
        &invoke(&text, &[], "{}").await?,
        2,
        &["it is not WebAssembly"],
    );
    Ok(())
}

#[tokio::test]
async fn errors_come_whole_and_in_the_guests_own_words() -> Result<()> {
    let message = r#"{"body": "a body", "headers": {"do": "exception"}}"#;
    let python = invoke(&Language::PYTHON.guest(), &[], message).await?;
    let line = Language::PYTHON.line_with("deep trouble");
    let place = format!("File \"contract.py\", line {line}, in deep");
    assert_says(
        &python,
        1,
        &[
            "failed (error): ValueError: deep trouble",
            &place,
            "caused by KeyError",
        ],
    );
    let javascript = invoke(&Language::JAVASCRIPT.guest(), &[], message).await?;
    let line = Language::JAVASCRIPT.line_with("throw new RangeError");
    let place = format!("contract.js:{line}:");
    assert_says(
        &javascript,
        1,
        &[
            "failed (error): RangeError: deep trouble",
            &place,
            "caused by Error",
        ],
    );
    Ok(())
}

/// As the README of the example says it, with the example's own sample.
#[tokio::test]
async fn an_example_is_tried_out_with_its_hive_toml() -> Result<()> {
    let folder = built_example("cleaning-python");
    let config = folder.join("hive.toml").to_string_lossy().into_owned();
    let samples = std::fs::read_dir(folder.join("messages"))?;
    let sample = samples
        .filter_map(|sample| Some(sample.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("published"))
        });
    let sample = sample
        .context("there is one")?
        .to_string_lossy()
        .into_owned();
    let done = run_to_end(&["invoke", "cleaning", "--config", &config, "--body", &sample])?;
    assert_says(&done, 0, &["publish "]);
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_component_is_told_as_exactly_as_it_is_known() -> Result<()> {
    for (body, says) in [
        (
            "code 3",
            "failed (trap): the component exited with status 3",
        ),
        ("3", "failed (trap): the component exited with a failure"),
        ("0", "failed (trap): the component exited with status 0"),
    ] {
        let ended = invoke(&guest("exit"), &["-p", "type=x"], body).await?;
        assert_says(&ended, 1, &[says]);
    }
    let ended = invoke(&guest("no-text"), &["-p", "type=x"], "").await?;
    let says = "a string in what `handler.handle` returned is not Unicode text: ";
    assert_says(&ended, 1, &[says]);
    Ok(())
}

#[tokio::test]
async fn what_is_no_component_is_told_for_what_it_is() -> Result<()> {
    let module = "(module (func (export \"handle\")))";
    let core = "it is a core WebAssembly module, not a component; build it for wasm32-wasip2";
    let cases = [
        (file("core.wat", module)?, core),
        (file("core-text.wasm", &format!("  {module}"))?, core),
        (
            file(
                "preview1.wat",
                "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))",
            )?,
            "build it for wasm32-wasip2: it was built for wasm32-wasip1",
        ),
        (
            file("broken.wat", "(module")?,
            "it is not WebAssembly text: ",
        ),
        (
            PathBuf::from("/dev/zero"),
            "it is a device, not a regular file",
        ),
    ];
    for (component, says) in cases {
        let ended = invoke(&component, &["-p", "type=x"], "").await?;
        assert_says(&ended, 2, &[says]);
    }
    Ok(())
}

#[tokio::test]
async fn a_byte_order_mark_in_front_of_messages_is_none_of_them() -> Result<()> {
    let messages = file("marked.json", "\u{feff}{\"body\": \"hello\"}\n")?;
    let messages = messages.to_string_lossy();
    let answer = invoke(&guest("stdout"), &["--message", &messages], "").await?;
    assert_says(&answer, 0, &["out says hello"]);
    Ok(())
}
