//! Compiles the component of the orders example, to be embedded in the host.
//!
//! The host builds with or without it: where the component cannot be compiled, `missing.txt` says why, and
//! `hive-host demo` repeats it. ARCHITECTURE.md has the decision.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const WASM: &str = "wasm32-wasip2";

/// What the component is made from, in the folder of the workspace.
const SOURCES: [&str; 7] = [
    "examples/orders/Cargo.toml",
    "examples/orders/src",
    "guest-sdk/Cargo.toml",
    "guest-sdk/macros",
    "guest-sdk/src",
    "rust-toolchain.toml",
    "wit",
];

fn main() -> io::Result<()> {
    let workspace = folder("CARGO_MANIFEST_DIR").join("../..");
    for source in SOURCES {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    let out = folder("OUT_DIR");
    let (component, missing) = match component(&workspace, &out) {
        Ok(path) => (fs::read(path)?, String::new()),
        Err(reason) => {
            println!("cargo:warning=hive-host is built without its demo: {reason}");
            // A file that is never there: cargo runs this again at each build, until it succeeds.
            println!("cargo:rerun-if-changed={}", out.join("again").display());
            (Vec::new(), reason)
        }
    };
    fs::write(out.join("orders.wasm"), component)?;
    fs::write(out.join("missing.txt"), missing)
}

/// The component's file; an error is why there is none.
fn component(workspace: &Path, out: &Path) -> Result<PathBuf, String> {
    if let Some(built) = built_already(workspace, out) {
        return Ok(built);
    }
    require_target()?;
    let target = out.join("guest");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(workspace)
        .args(["build", "--release", "--quiet", "--package", "orders"])
        .args(["--target", WASM, "--target-dir"])
        .arg(&target);
    clean(&mut cargo);
    let output = cargo
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let first = told.lines().find(|line| line.starts_with("error"));
        return Err(format!(
            "the example `orders` does not build for {WASM}: {}",
            first.unwrap_or("cargo failed")
        ));
    }
    Ok(target.join(WASM).join("release/orders.wasm"))
}

/// What `cargo build --release --target wasm32-wasip2 -p orders` made, where no source is newer: cargo
/// cannot be asked, since it holds the lock of the target folder while this runs.
fn built_already(workspace: &Path, out: &Path) -> Option<PathBuf> {
    // target/PROFILE/build/PACKAGE/out
    let built = out
        .ancestors()
        .nth(4)?
        .join(WASM)
        .join("release/orders.wasm");
    let made = fs::metadata(&built).and_then(|file| file.modified()).ok()?;
    let changed = SOURCES.iter().map(|source| newest(&workspace.join(source)));
    let changed = changed.collect::<io::Result<Vec<_>>>().ok()?;
    changed
        .iter()
        .all(|changed| *changed < made)
        .then_some(built)
}

/// When a file, or the newest file of a folder, was changed.
fn newest(path: &Path) -> io::Result<SystemTime> {
    let about = fs::metadata(path)?;
    let mut newest = about.modified()?;
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(self::newest(&entry?.path())?);
        }
    }
    Ok(newest)
}

/// Whether rustc has the standard library of the target.
fn require_target() -> Result<(), String> {
    let printed = Command::new(variable("RUSTC"))
        .args(["--print", "target-libdir", "--target", WASM])
        .output();
    let printed = printed.map_err(|error| format!("rustc cannot be run: {error}"))?;
    let library = String::from_utf8_lossy(&printed.stdout);
    match printed.status.success() && Path::new(library.trim()).is_dir() {
        true => Ok(()),
        false => Err(format!(
            "the Rust target {WASM} is not installed; run `rustup target add {WASM}`"
        )),
    }
}

/// Takes from a command what is meant for the build of the host: its flags, its profile, its linter.
fn clean(cargo: &mut Command) {
    let names = [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    let beginnings = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];
    let is_the_hosts = |name: &str| {
        names.contains(&name)
            || beginnings
                .iter()
                .any(|beginning| name.starts_with(beginning))
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_the_hosts) {
            cargo.env_remove(name);
        }
    }
    // The component's linker does not take what an incremental build leaves.
    cargo.env("CARGO_INCREMENTAL", "0");
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"))
}

fn folder(name: &str) -> PathBuf {
    variable(name).into()
}
