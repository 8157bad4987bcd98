//! Components in other languages than Rust, built from source by `scripts/build-languages`: the guests of the
//! contract test and the examples.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::build::{example, guest, workspace};

/// A language that the contract test speaks, with its guest.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    /// The name of the language, as in `tests/guests/languages`.
    pub name: &'static str,
    /// The source of its guest, from the top of the repository.
    pub source: &'static str,
}

impl Language {
    /// Rust, whose guest is one of the examples.
    pub const RUST: Self = Self::of("rust", "tests/guests/examples/contract.rs");
    /// JavaScript.
    pub const JAVASCRIPT: Self = Self::of(
        "javascript",
        "tests/guests/languages/javascript/contract.js",
    );
    /// TypeScript.
    pub const TYPESCRIPT: Self = Self::of(
        "typescript",
        "tests/guests/languages/typescript/contract.ts",
    );
    /// Python.
    pub const PYTHON: Self = Self::of("python", "tests/guests/languages/python/contract.py");
    /// C.
    pub const C: Self = Self::of("c", "tests/guests/languages/c/contract.c");
    /// Go.
    pub const GO: Self = Self::of("go", "tests/guests/languages/go/contract.go");
    /// Every language.
    pub const ALL: [Self; 6] = [
        Self::RUST,
        Self::JAVASCRIPT,
        Self::TYPESCRIPT,
        Self::PYTHON,
        Self::C,
        Self::GO,
    ];

    const fn of(name: &'static str, source: &'static str) -> Self {
        Self { name, source }
    }

    /// The compiled guest of the contract test in this language.
    pub fn guest(self) -> PathBuf {
        match self.name {
            "rust" => guest("contract"),
            name => made(&format!("tests/guests/languages/build/{name}.wasm")),
        }
    }

    /// The number of the first line of its guest's source that contains `text`.
    ///
    /// # Panics
    /// When there is none.
    pub fn line_with(self, text: &str) -> usize {
        let source = std::fs::read_to_string(workspace().join(self.source))
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", self.source));
        let found = source.lines().position(|line| line.contains(text));
        1 + found.unwrap_or_else(|| panic!("{} says nowhere {text:?}", self.source))
    }
}

/// Another guest of these languages, `tests/guests/languages/build/NAME.wasm`.
pub fn language_guest(name: &str) -> PathBuf {
    made(&format!("tests/guests/languages/build/{name}.wasm"))
}

/// The folder of an example of another language than Rust, whose component is there.
///
/// # Panics
/// When it cannot be made.
pub fn built_example(name: &str) -> PathBuf {
    let component = match name {
        "cleaning-python" => "cleaning",
        "frames-c" => "frames",
        "invoices-go" => "invoices",
        _ => "webhook",
    };
    made(&format!("examples/{name}/build/{component}.wasm"));
    example(name)
}

/// The folder with the tools of the languages, their executables in `bin`.
///
/// # Panics
/// When they cannot be had.
pub fn toolchains() -> PathBuf {
    made(".toolchains/stamp").with_file_name("")
}

fn made(path: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("HIVE_TESTS_BUILT").is_none() {
            build(workspace());
        }
    });
    let path = workspace().join(path);
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

fn build(workspace: &Path) {
    let output = Command::new(workspace.join("scripts/build-languages"))
        .output()
        .expect("the script can be run");
    assert!(
        output.status.success(),
        "scripts/build-languages failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
