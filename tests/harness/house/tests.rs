//! Made-up sources that break each rule, and their neighbours that break none.

use super::*;

/// Checks `text` as that file of `host/src` against the rules it is to break, in their order.
#[track_caller]
fn assert_breaks(file: &str, text: &str, rules: &[u8]) {
    let libraries = [
        "tokio",
        "serde",
        "axum",
        "axum_core",
        "hive_amqp",
        "hive_sandbox",
    ];
    let breaches = check(Path::new(file), text, &libraries.map(str::to_owned));
    let broken: Vec<u8> = breaches.iter().filter_map(|breach| breach.rule).collect();
    assert_eq!(broken, rules, "{text}");
}

#[test]
fn rule_1_only_cli_imports_app() {
    assert_breaks("pipeline.rs", "use crate::app::App;", &[1]);
    assert_breaks("pipeline/settle.rs", "use crate::{app, policy};", &[1]);
    assert_breaks("pipeline/settle.rs", "use super::super::app;", &[1]);
    assert_breaks("cli/run.rs", "use crate::app::App;", &[]);
    assert_breaks("app.rs", "use crate::{ledger, pipeline};", &[]);
}

#[test]
fn rule_1_only_main_imports_cli() {
    assert_breaks("app.rs", "use crate::cli;", &[1]);
    assert_breaks("main.rs", "fn main() { hive_host::cli::run(); }", &[]);
}

#[test]
fn rule_2_message_and_policy_know_no_library() {
    assert_breaks("message.rs", "use serde::Serialize;", &[2]);
    assert_breaks("policy.rs", "fn f() { tokio::task::yield_now(); }", &[2]);
    assert_breaks("policy.rs", "use axum::Router;", &[2, 3]);
    assert_breaks("policy/consumer.rs", "use serde::Serialize;", &[2]);
    assert_breaks(
        "policy.rs",
        "use std::fmt;\nuse crate::message::Attempt;",
        &[],
    );
}

#[test]
fn rule_3_libraries_stay_in_their_rooms() {
    assert_breaks("app.rs", "fn f(_: axum_core::body::Body) {}", &[3]);
    assert_breaks("status.rs", "use axum as web;", &[3]);
    assert_breaks("ledger.rs", "pub(crate) use {axum::Router};", &[3]);
    assert_breaks("admin/wire.rs", "use axum::Json;", &[]);
}

#[test]
fn rule_4_only_the_pipeline_joins_amqp_and_the_sandbox() {
    assert_breaks("ledger.rs", "use hive_amqp::Delivery;", &[4]);
    assert_breaks("dead/replay.rs", "use hive_sandbox::Slot;", &[4]);
    assert_breaks("dead.rs", "use crate::{json::x, pipeline::y};", &[4]);
    assert_breaks("dead.rs", "use super::ledger;", &[4]);
    assert_breaks(
        "dead.rs",
        "use hive_amqp::Browsing; use crate::status;",
        &[],
    );
    assert_breaks(
        "pipeline/settle.rs",
        "use hive_amqp::Delivery; use hive_sandbox::Slot; use super::held;",
        &[],
    );
}

#[test]
fn rule_5_derives_of_serde_have_their_places() {
    assert_breaks(
        "plan.rs",
        "#[derive(Debug, serde::Deserialize)] struct P;",
        &[5],
    );
    assert_breaks("pipeline.rs", "#[derive(Serialize)] struct P;", &[5]);
    assert_breaks("admin.rs", "#[derive(Deserialize)] struct P;", &[]);
    assert_breaks("admin/wire.rs", "#[derive(Deserialize)] struct P;", &[]);
}

#[test]
fn rule_6_admin_keeps_off_the_data_path() {
    assert_breaks("admin/routes.rs", "use std::sync::Mutex;", &[6]);
    assert_breaks("admin.rs", "use crate::pipeline::Worker;", &[6]);
    assert_breaks("admin.rs", "use hive_telemetry::Snapshot;", &[]);
}

/// Checks a manifest of that crate with these dependencies against the rules that it breaks.
#[track_caller]
fn assert_manifest_breaks(name: &str, dependencies: &[&str], rules: &[u8]) {
    let manifest = Manifest {
        name: name.to_owned(),
        file: "host/Cargo.toml".into(),
        dependencies: dependencies.iter().copied().map(str::to_owned).collect(),
    };
    let ours = ["hive-host", "hive-broker", "hive-telemetry", "hive-tests"];
    let breaches = check_manifest(&manifest, &ours.map(str::to_owned));
    let broken: Vec<u8> = breaches.iter().filter_map(|breach| breach.rule).collect();
    assert_eq!(broken, rules, "{name}: {dependencies:?}");
}

#[test]
fn rule_8_a_wing_of_amqp_knows_only_those_below_it() {
    assert_breaks("wire/socket.rs", "use crate::session::Session;", &[8]);
    assert_breaks(
        "link/consumers.rs",
        "use crate::consume::acks::Window;",
        &[8],
    );
    assert_breaks(
        "session/depth.rs",
        "use crate::connection::Connection;",
        &[],
    );
    assert_breaks("consume/consumer.rs", "use crate::link::Link;", &[]);
}

#[test]
fn rule_8_a_wing_of_the_sandbox_knows_only_those_below_it() {
    assert_breaks(
        "instance/template.rs",
        "use crate::pool::generation::Generation;",
        &[8],
    );
    assert_breaks(
        "capability/keyvalue.rs",
        "use crate::instance::state::State;",
        &[8],
    );
    assert_breaks("component/code.rs", "use crate::engine::Engine;", &[8]);
    assert_breaks("pool/idle.rs", "use super::super::swap::slot::Slot;", &[8]);
    assert_breaks("swap/slot.rs", "use crate::{engine, pool};", &[8]);
    assert_breaks(
        "instance.rs",
        "use crate::capability::reporting; use crate::component::code;",
        &[],
    );
    assert_breaks("engine.rs", "use crate::{pool, swap::slot};", &[]);
}

/// The files of a made-up crate that are in a circle.
fn in_a_circle(files: &[(&str, &str)]) -> Option<String> {
    let owned = |(file, text): &(&str, &str)| (PathBuf::from(file), (*text).to_owned());
    let files: Vec<_> = files.iter().map(owned).collect();
    check_circles(&files).map(|breach| breach.what)
}

#[test]
fn rule_8_files_of_the_sandbox_know_one_another_in_one_direction() {
    let template = (
        "instance/template.rs",
        "use crate::pool::generation::Generation;",
    );
    let pool = ("pool/generation.rs", "use crate::instance::Instance;");
    let instance = ("instance.rs", "use self::template::Template;");
    let circle = in_a_circle(&[template, pool, instance]).expect("it is seen");
    for file in ["instance::template", "pool::generation", "instance"] {
        assert!(circle.contains(file), "{circle}");
    }
    let leaf = (
        "instance/template.rs",
        "use super::state::State; use tokio::sync::Mutex;",
    );
    let state = ("instance/state.rs", "use std::fmt;");
    let root = ("lib.rs", "mod instance; pub use self::instance::Instance;");
    assert_eq!(in_a_circle(&[leaf, pool, instance, state, root]), None);
    let up = ("instance/state.rs", "use super::Instance;");
    let down = ("instance.rs", "fn f() { state::make(); }");
    assert!(
        in_a_circle(&[up, down]).is_some(),
        "a file and its own module"
    );
}

#[test]
fn rule_7_a_crate_depends_on_no_other_than_the_table_says() {
    assert_manifest_breaks("hive-telemetry", &["tracing", "hive-broker"], &[7]);
    assert_manifest_breaks("hive-host", &["hive-telemetry", "hive-broker"], &[]);
    assert_manifest_breaks("hive-new", &[], &[7]);
}

#[test]
fn rule_3_libraries_stay_in_their_crates() {
    assert_manifest_breaks("hive-telemetry", &["prometheus"], &[]);
    assert_manifest_breaks("hive-host", &["prometheus-client", "tokio"], &[3]);
}

#[test]
fn a_manifest_is_read_without_what_only_its_tests_use() -> anyhow::Result<()> {
    let metadata = serde_json::json!({
        "workspace_root": "/hive",
        "packages": [
            { "name": "hive-host", "manifest_path": "/hive/host/Cargo.toml", "dependencies": [
                { "name": "tokio", "kind": null },
                { "name": "proptest", "kind": "dev" },
            ] },
            { "name": "hive-guest", "manifest_path": "/hive/guest-sdk/Cargo.toml", "dependencies": [] },
        ],
    });
    let read = manifests(&metadata)?;
    let host = Manifest {
        name: "hive-host".to_owned(),
        file: "host/Cargo.toml".into(),
        dependencies: vec!["tokio".to_owned()],
    };
    assert_eq!(read, std::slice::from_ref(&host));
    let tree = ["hive-host", "lapin", "wasmtime"].map(str::to_owned);
    assert!(check_tree(&host, &tree).is_empty(), "the host has them all");
    let telemetry = Manifest {
        name: "hive-telemetry".to_owned(),
        ..host
    };
    assert_eq!(check_tree(&telemetry, &tree).len(), 2);
    Ok(())
}

#[test]
fn words_in_comments_strings_and_tests_are_no_imports() {
    let text = r##"
        //! axum::Router is not for here.
        /* crate::app::App */
        const TEXT: &str = "crate::app and axum::x";
        const RAW: &str = r#"say "axum::x""#;
        const QUOTE: char = '"';
        fn f<'a>(text: &'a str) -> impl Sized + use<'a> { text }
        #[cfg(test)]
        mod tests { use crate::app::App; }
    "##;
    assert_breaks("pipeline.rs", text, &[]);
    assert_breaks("pipeline/tests.rs", "use crate::app::App;", &[]);
}

#[test]
fn a_breach_names_the_file_and_the_rule() {
    let breaches = check(Path::new("app.rs"), "use crate::cli;", &[]);
    assert_eq!(
        breaches[0].to_string(),
        "app.rs imports the room `cli` (rule 1)"
    );
}

#[test]
fn a_file_opens_with_what_it_is_for() {
    assert_eq!(check_opening(Path::new("a.rs"), "//! The letter a."), None);
    assert!(check_opening(Path::new("a.rs"), "use std::fmt;").is_some());
    assert!(check_opening(Path::new("a.rs"), "//!\n").is_some());
}
