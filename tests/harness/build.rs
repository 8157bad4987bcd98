//! The programs of the scenarios, built from source by cargo: the host, the guests, the orders example.
//!
//! Each is built once a process; cargo knows by itself what is up to date. `scripts/test` builds everything
//! first and sets `HIVE_TESTS_BUILT=1`, because a cargo that builds other packages than before may choose other
//! features and build half the tree again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Result;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::keeper;

const WASM: &str = "wasm32-wasip2";

/// The folder of the workspace.
///
/// # Panics
/// Never: this crate is in it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate of the tests stands in the workspace")
}

/// The folder that this executable was built into, `target/debug` or `target/release`.
fn profile_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("this executable has a path");
    let folder = executable.parent().expect("an executable is in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("`deps` is in a folder").to_owned()
    } else {
        folder.to_owned()
    }
}

/// The workspace's target folder.
///
/// # Panics
/// Where this executable was not built by cargo.
pub fn target_folder() -> PathBuf {
    profile_folder()
        .parent()
        .expect("a profile's folder is in the target folder")
        .to_owned()
}

/// The `hive-host` binary, in the profile that the tests were built in.
pub fn host_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        cargo_build(&[&["--workspace", "--bins"], profile()].concat());
        profile_folder().join("hive-host")
    })
}

/// The S3 server of the scenarios, which is a workspace of its own: built when the first scenario wants it.
pub(crate) fn s3_server() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let folder = target_folder().join("s3-server");
        let manifest = workspace().join("tests/s3-server/Cargo.toml");
        let manifest = manifest.display().to_string();
        run_cargo(
            &["build", "--locked", "--manifest-path", &manifest],
            &folder,
        );
        existing(folder.join("debug/s3-server"))
    })
}

/// The same program with failpoints compiled in, which is a binary of its own.
pub(crate) fn host_with_failpoints() -> &'static Path {
    const ARMED: &str = "hive-host-failpoints";
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        cargo(&["failpoints"]);
        target_folder().join("release").join(ARMED)
    })
}

fn profile() -> &'static [&'static str] {
    if profile_folder().ends_with("release") {
        &["--release"]
    } else {
        &[]
    }
}

/// The guest `tests/guests/examples/NAME.rs`, compiled.
///
/// # Panics
/// If the guests do not compile, or there is no guest of that name.
pub fn guest(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        build_component(&["-p", "hive-test-guests", "--examples"]);
        component_folder().join("examples")
    });
    existing(folder.join(format!("{}.wasm", name.replace('-', "_"))))
}

/// The component of the core module `tests/guests/text/NAME.wat`, for code that cannot be written in Rust.
///
/// # Errors
/// If there is no module of that name, or it does not fit the contract.
pub fn text_guest(name: &str) -> Result<PathBuf> {
    let source = workspace()
        .join("tests/guests/text")
        .join(format!("{name}.wat"));
    let mut module = wat::parse_file(source)?;
    let mut contract = Resolve::default();
    let (package, _) = contract.push_path(workspace().join("wit"))?;
    let world = contract.select_world(&[package], Some("consumer"))?;
    wit_component::embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
    let component = ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()?;
    let path = keeper::scratch("text").join(format!("{name}.wasm"));
    std::fs::write(&path, component)?;
    Ok(path)
}

/// The component of an example, compiled.
///
/// # Panics
/// When it does not compile.
pub fn example_component(name: &str) -> PathBuf {
    build_component(&["-p", name]);
    existing(component_folder().join(format!("{name}.wasm")))
}

/// The folder of an example.
pub fn example(name: &str) -> PathBuf {
    workspace().join("examples").join(name)
}

/// Where `scripts/prepare-contenders` puts what the bench's other contenders need.
pub fn contenders() -> PathBuf {
    target_folder().join("contenders")
}

/// The interpreter of another contender of the bench, and its program in `tests/contenders`. `None` if
/// `scripts/prepare-contenders` has not installed the interpreter.
pub fn contender(interpreter: &str, program: &str) -> Option<(PathBuf, PathBuf)> {
    let interpreter = contenders().join(interpreter);
    let program = workspace().join("tests/contenders").join(program);
    interpreter.is_file().then_some((interpreter, program))
}

/// A client over HTTP whose spans are those of OpenTelemetry's SDK for Python; its arguments are in its head.
///
/// # Errors
/// The SDK is not there.
pub fn traced_client() -> anyhow::Result<Command> {
    let python = contenders().join("python/bin/python");
    anyhow::ensure!(
        python.is_file(),
        "scripts/prepare-contenders gets OpenTelemetry's SDK"
    );
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/tracing/post.py"));
    Ok(command)
}

fn component_folder() -> PathBuf {
    target_folder().join(WASM).join("release")
}

fn build_component(packages: &[&str]) {
    cargo_build(&[&["--release", "--target", WASM], packages].concat());
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

fn cargo_build(arguments: &[&str]) {
    cargo(&[&["build"], arguments].concat());
}

fn cargo(arguments: &[&str]) {
    if std::env::var_os("HIVE_TESTS_BUILT").is_some() {
        return;
    }
    run_cargo(arguments, &target_folder());
}

fn run_cargo(arguments: &[&str], target: &Path) {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
