//! `hive-host compile`: native code ahead of the start, and who may be trusted with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use hive_tests::{
    Broker, Finished, HiveToml, HostProcess, Language, Message, Shell, guest, run_to_end, scratch,
};

use crate::assert_says;

/// A folder with a copy of a guest.
fn project(label: &str, name: &str) -> Result<(PathBuf, PathBuf)> {
    let folder = scratch(label);
    // Whatever the umask of the tests is: native code is not run from a folder that others can write to.
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    let component = folder.join(format!("{name}.wasm"));
    fs::copy(guest(name), &component)?;
    Ok((folder, component))
}

/// Runs `hive-host compile FILE FLAGS…`.
fn compile(file: &Path, flags: &[&str]) -> Result<Finished> {
    let file = file.to_string_lossy();
    let arguments: Vec<&str> = ["compile", &*file]
        .into_iter()
        .chain(flags.iter().copied())
        .collect();
    run_to_end(&arguments)
}

/// The native code of a copy of a guest, whose WebAssembly is gone.
fn compiled(label: &str, name: &str) -> Result<PathBuf> {
    let (_, component) = project(label, name)?;
    let done = compile(&component, &[])?;
    assert_eq!(done.code, Some(0), "{done:?}");
    fs::remove_file(&component)?;
    Ok(component.with_extension("cwasm"))
}

/// What `hive-host check` says of a hive.toml with this component.
fn check(native: &Path, keys: &str) -> Result<Finished> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at("scribe", native, keys)
        .consumer("letters", "scribe", "");
    let file = scratch("compile-check").join("hive.toml");
    fs::write(&file, toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    run_to_end(&["check", &file.to_string_lossy()])
}

#[tokio::test]
async fn native_code_handles_deliveries_and_is_refused_over_the_network() -> Result<()> {
    let native = compiled("compile-run", "publish")?;
    let vhost = Broker::shared().await?.vhost("compile-run").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component_at("scribe", &native, "")
        .consumer("letters", "scribe", "");
    let file = native.with_file_name("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "hello");
    let other = compiled("compile-sent", "ack")?;
    let sent = host
        .told("swap", &file, &["scribe", &other.to_string_lossy()])
        .await?;
    assert_says(&sent, 1, &["HIVE-0309", "taken from the file in hive.toml"]);
    host.stop().await
}

#[test]
fn it_is_made_for_the_processors_that_were_asked_for() -> Result<()> {
    let (_, component) = project("compile-levels", "ack")?;
    let native = component.with_extension("cwasm");
    for level in ["native", "x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let done = compile(&component, &["--cpu", level])?;
        if done.code == Some(2) && level != "native" {
            // A machine of another kind says so.
            assert_says(&done, 2, &["this hive-host compiles for native"]);
            continue;
        }
        assert_says(
            &done,
            0,
            &["ack.cwasm", &format!("processor {level}; sha256 ")],
        );
        let head = fs::read(&native)?;
        let head = String::from_utf8_lossy(&head[..500]).into_owned();
        assert!(head.contains(&format!("\"cpu\":\"{level}\"")), "{head}");
        let checked = check(&native, "")?;
        match checked.code {
            Some(0) => {}
            // The processor of this machine may be older than the level.
            _ => assert_says(&checked, 2, &["HIVE-0309", level, "hive-host compile"]),
        }
    }
    let done = compile(&component, &["--cpu", "pentium"])?;
    assert_says(&done, 2, &["pentium", "native"]);
    Ok(())
}

#[test]
fn a_hive_toml_that_names_native_code_is_compiled_from_the_component_beside_it() -> Result<()> {
    let (folder, component) = project("compile-plan", "ack")?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at("scribe", &folder.join("ack.cwasm"), "")
        .consumer("letters", "scribe", "");
    let file = folder.join("hive.toml");
    fs::write(&file, toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    let done = compile(&file, &["scribe", "--json"])?;
    assert_eq!(done.code, Some(0), "{done:?}");
    let object: serde_json::Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(object["component"], "scribe");
    let sum = object["sha256"].as_str().unwrap_or_default().to_owned();
    let native = component.with_extension("cwasm");
    assert_eq!(
        check(&native, &format!("sha256 = \"{sum}\""))?.code,
        Some(0)
    );
    let other = "0".repeat(64);
    let refused = check(&native, &format!("sha256 = \"{other}\""))?;
    assert_says(&refused, 2, &["HIVE-0305", &sum]);
    assert_says(
        &compile(&file, &["scrib"])?,
        2,
        &["no component \"scrib\"", "scribe"],
    );
    Ok(())
}

#[test]
fn the_cache_is_filled_without_a_file() -> Result<()> {
    let (folder, component) = project("compile-cache", "ack")?;
    let done = compile(&component, &["--cache"])?;
    assert_says(&done, 0, &["ack: in the cache "]);
    assert!(!folder.join("ack.cwasm").exists());
    assert_says(
        &compile(&component, &["--cache", "--cpu", "native"])?,
        2,
        &["--cache"],
    );
    Ok(())
}

#[test]
fn native_code_that_others_can_change_or_that_is_damaged_is_refused() -> Result<()> {
    let native = compiled("compile-trust", "ack")?;
    let folder = native.parent().expect("it is in a folder").to_owned();
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    assert_says(&check(&native, "")?, 0, &["no faults"]);
    for mode in [0o664, 0o646] {
        set(&native, mode)?;
        let words = ["HIVE-0314", &format!("mode 0{mode:o}"), "chmod go-w"];
        assert_says(&check(&native, "")?, 2, &words);
    }
    set(&native, 0o644)?;
    set(&folder, 0o777)?;
    assert_says(&check(&native, "")?, 2, &["HIVE-0314", "mode 0777"]);
    set(&folder, 0o755)?;

    let whole = fs::read(&native)?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&native, damaged)?;
    assert_says(&check(&native, "")?, 2, &["HIVE-0315", "it is damaged"]);
    fs::write(&native, &whole[..whole.len() - 1])?;
    assert_says(&check(&native, "")?, 2, &["HIVE-0315"]);
    // As other tools make it.
    let code = whole.windows(4).position(|four| four == b"\x7fELF");
    fs::write(&native, &whole[code.expect("native code is an ELF")..])?;
    assert_says(&check(&native, "")?, 2, &["HIVE-0309", "did not make"]);
    Ok(())
}

#[tokio::test]
async fn a_slow_compilation_shows_its_progress_at_a_terminal() -> Result<()> {
    let folder = scratch("compile-slow");
    let component = Language::JAVASCRIPT.guest();
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at("slow", &component, "")
        .consumer("letters", "slow", "");
    fs::write(
        folder.join("hive.toml"),
        toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"),
    )?;
    let shell = Shell::within(&folder).with("HIVE_CACHE_DIR", folder.join("cache"));
    let terminal = shell.at_a_terminal("hive-host check hive.toml")?;
    terminal.shows("compiling slow").await?;
    terminal.shows("compiled slow in ").await?;
    terminal.shows("no faults").await
}
