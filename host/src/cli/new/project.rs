//! The files of a project, language by language: the templates of `host/templates`, and the contract and the
//! SDK of this repository, all of it embedded in the binary.

use std::borrow::Cow;

use clap::ValueEnum;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

/// A language that a project can be made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    #[value(help = "makes the component with cargo alone")]
    Rust,
    #[value(alias = "javascript", help = "with Node and componentize-js")]
    Js,
    #[value(alias = "typescript", help = "the same, with tsc")]
    Ts,
    #[value(alias = "py", help = "with componentize-py")]
    Python,
    #[value(help = "with zig or wasi-sdk, and wasm-tools")]
    C,
    #[value(
        alias = "golang",
        help = "with Go's own compiler, wasm-merge and wasm-tools"
    )]
    Go,
}

/// One file of a project.
#[derive(Debug)]
pub(super) struct File {
    /// Below the project's folder.
    pub(super) path: &'static str,
    pub(super) content: Cow<'static, [u8]>,
}

/// One file of the repository, and its place in a project.
#[derive(Debug, Clone, Copy)]
struct Source {
    path: &'static str,
    text: &'static str,
}

/// Files from a folder of the repository, for a folder of the project.
macro_rules! embedded {
    ($from:literal => $to:literal: $($file:literal)+) => {
        &[$(Source {
            path: concat!($to, $file),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $from, $file)),
        }),+]
    };
}

type Sources = &'static [Source];

const CONFIGURATION: Sources =
    embedded!("host/templates/common/" => "": "greet.test.toml" "hive.toml");
const NAME_IN_JSON: Sources = embedded!("host/templates/common/" => "": "messages/one.json");

const RUST: Sources = embedded!("host/templates/rust/" => "":
    "Cargo.toml" "README.md" "gitignore" "src/lib.rs" "sdk/Cargo.toml" "sdk/macros/Cargo.toml");
const JS: Sources = embedded!("host/templates/js/" => "":
    "README.md" "gitignore" "package.json" "src/consumer.js" "src/greet.js" "test/greet.test.js");
const TS: Sources = embedded!("host/templates/ts/" => "":
    "README.md" "gitignore" "package.json" "src/consumer.ts" "src/greet.ts" "test/greet.test.ts"
    "tsconfig.json");
const PYTHON: Sources = embedded!("host/templates/python/" => "":
    "Makefile" "README.md" "gitignore" "pyproject.toml" "requirements-dev.txt" "requirements.txt"
    "src/consumer.py" "src/greet.py" "tests/test_greet.py");
const C: Sources = embedded!("host/templates/c/" => "":
    "Makefile" "README.md" "consumer.c" "gitignore" "messages/one.json" "requirements.txt" "test.c");
const GO: Sources = embedded!("host/templates/go/" => "":
    "Makefile" "README.md" "gitignore" "go.mod" "main.go" "main_test.go" "requirements.txt");

const CONTRACT: Sources = embedded!("wit/" => "wit/": "consumer.wit");
/// The contract with what a component may import beside it.
const WORLDS: Sources = embedded!("guest-sdk/wit/" => "wit/":
    "world.wit" "deps/hive-consumer.wit" "deps/wasi-config.wit" "deps/wasi-keyvalue/atomic.wit"
    "deps/wasi-keyvalue/batch.wit" "deps/wasi-keyvalue/store.wit" "deps/wasi-keyvalue/world.wit"
    "deps/wasi-io.wit" "deps/wasi-blobstore/blobstore.wit" "deps/wasi-blobstore/container.wit"
    "deps/wasi-blobstore/types.wit" "deps/wasi-blobstore/world.wit");

/// Without its manifests, which take versions from the workspace; those of a project are templates.
const SDK_OF_RUST: Sources = embedded!("guest-sdk/" => "sdk/":
    "README.md" "src/action.rs" "src/bindings.rs" "src/cause.rs" "src/config.rs" "src/delivery.rs"
    "src/export.rs" "src/field_value.rs" "src/keyvalue.rs" "src/lib.rs" "src/message.rs"
    "src/objects.rs" "src/publication.rs" "src/requests.rs" "src/testing.rs" "macros/src/lib.rs" "wit/world.wit"
    "wit/deps/hive-consumer.wit" "wit/deps/wasi-config.wit" "wit/deps/wasi-keyvalue/atomic.wit"
    "wit/deps/wasi-keyvalue/batch.wit" "wit/deps/wasi-keyvalue/store.wit"
    "wit/deps/wasi-keyvalue/world.wit" "wit/deps/wasi-io.wit" "wit/deps/wasi-blobstore/blobstore.wit"
    "wit/deps/wasi-blobstore/container.wit" "wit/deps/wasi-blobstore/types.wit"
    "wit/deps/wasi-blobstore/world.wit");
const SDK_OF_JAVASCRIPT: Sources = embedded!("guest-sdk/javascript/" => "sdk/":
    "README.md" "bundle.js" "config.d.ts" "config.js" "hive.d.ts" "hive.js" "objects.d.ts" "objects.js"
    "package.json" "requests.d.ts" "requests.js" "source-map.js" "testing.d.ts" "testing.js");
const SDK_OF_PYTHON: Sources = embedded!("guest-sdk/python/" => "sdk/":
    "README.md" "hive/__init__.py" "hive/_answers.py" "hive/_consumer.py" "hive/_delivery.py"
    "hive/_headers.py" "hive/config.py" "hive/objects.py" "hive/py.typed" "hive/requests.py" "hive/testing.py");
const SDK_OF_C: Sources = embedded!("guest-sdk/c/" => "sdk/": "README.md" "hive.c" "hive.h" "hive_objects.c"
    "hive_objects.h");
const SDK_OF_GO: Sources = embedded!("guest-sdk/go/" => "sdk/":
    "README.md" "abi.go" "failure.go" "go.mod" "hive.go" "mailbox.go" "memory.wat" "objects/abi.go"
    "objects/native.go" "objects/objects.go" "requests.go" "requests_native.go" "requests_wasip1.go");

/// The schemas with which editors complete hive.toml and the test files, whose first lines name them.
fn schemas() -> [File; 2] {
    [
        ("hive.schema.json", hive_config::schema()),
        ("hive.test.schema.json", hive_config::cases_schema()),
    ]
    .map(|(path, schema)| File {
        path,
        content: format!("{schema:#}\n").into_bytes().into(),
    })
}

impl Language {
    /// The name of the language.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Ts => "TypeScript",
            Self::Python => "Python",
            Self::C => "C",
            Self::Go => "Go",
        }
    }

    /// All files of a project of this name.
    pub(super) fn project(self, name: &str) -> Vec<File> {
        let written = self.templates().into_iter().flatten().map(|source| File {
            path: match source.path {
                // Under its own name it would be heeded where the templates stand.
                "gitignore" => ".gitignore",
                path => path,
            },
            content: self.filled(source.text, name).into_bytes().into(),
        });
        let taken_over = self.taken_over().into_iter().flatten();
        let taken_over = taken_over.map(|source| File {
            path: source.path,
            content: source.text.as_bytes().into(),
        });
        let adapter = File {
            path: "sdk/adapter.wasm",
            content: WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER.into(),
        };
        let adapter = (self == Self::Go).then_some(adapter);
        let files = written.chain(taken_over).chain(adapter);
        files.chain(schemas()).collect()
    }

    fn filled(self, text: &str, name: &str) -> String {
        let component = match self {
            Self::Rust => format!(
                "target/wasm32-wasip2/release/{}.wasm",
                name.replace('-', "_")
            ),
            _ => format!("build/{name}.wasm"),
        };
        let build = match self {
            Self::Rust => "cargo build --release --target wasm32-wasip2",
            Self::Js | Self::Ts => "npm run build",
            Self::Python | Self::C | Self::Go => "make",
        };
        text.replace("{{name}}", name)
            .replace("{{component}}", &component)
            .replace("{{build}}", build)
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{rust}}", env!("CARGO_PKG_RUST_VERSION"))
    }

    /// Files that are written for each project: placeholders are replaced.
    fn templates(self) -> [&'static [Source]; 3] {
        match self {
            Self::Rust => [CONFIGURATION, NAME_IN_JSON, RUST],
            Self::Js => [CONFIGURATION, NAME_IN_JSON, JS],
            Self::Ts => [CONFIGURATION, NAME_IN_JSON, TS],
            Self::Python => [CONFIGURATION, NAME_IN_JSON, PYTHON],
            // The name is all of the body there: reading JSON takes a library in C.
            Self::C => [CONFIGURATION, &[], C],
            Self::Go => [CONFIGURATION, NAME_IN_JSON, GO],
        }
    }

    /// Files that are copied unchanged from the repository.
    fn taken_over(self) -> [&'static [Source]; 2] {
        match self {
            Self::Rust => [CONTRACT, SDK_OF_RUST],
            Self::Js | Self::Ts => [WORLDS, SDK_OF_JAVASCRIPT],
            Self::Python => [WORLDS, SDK_OF_PYTHON],
            Self::C => [WORLDS, SDK_OF_C],
            Self::Go => [WORLDS, SDK_OF_GO],
        }
    }
}

#[cfg(test)]
mod tests;
