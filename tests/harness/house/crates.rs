//! Which crate of `host/` may depend on which, and which of them may name a library: the walls between
//! the rooms, over what cargo knows of the manifests.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Breach;

/// A crate of `host/`, and what it may have.
struct Crate {
    name: &'static str,
    /// The crates of the workspace that it may use.
    may_use: &'static [&'static str],
    /// What may not be in its tree, however deep.
    without: &'static [&'static str],
}

const CRATES: [Crate; 17] = [
    Crate {
        name: "hive-core",
        may_use: &[],
        without: &["tokio", "lapin", "wasmtime", "axum", "tracing"],
    },
    Crate {
        name: "hive-amqp",
        may_use: &[
            "hive-core",
            "hive-config",
            "hive-lifecycle",
            "hive-telemetry",
        ],
        without: &["wasmtime", "axum", "redis", "redb"],
    },
    Crate {
        name: "hive-config",
        may_use: &[
            "hive-contracts",
            "hive-core",
            "hive-routes",
            "hive-schedules",
        ],
        without: &["lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-contracts",
        may_use: &["hive-core"],
        without: &["tokio", "lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-http",
        may_use: &[
            "hive-amqp",
            "hive-config",
            "hive-core",
            "hive-lifecycle",
            "hive-routes",
            "hive-telemetry",
        ],
        without: &["wasmtime", "axum", "redis", "redb"],
    },
    Crate {
        name: "hive-lifecycle",
        may_use: &["hive-telemetry"],
        without: &["lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-objects",
        may_use: &[
            "hive-config",
            "hive-core",
            "hive-lifecycle",
            "hive-telemetry",
        ],
        without: &["lapin", "wasmtime", "axum", "redis", "redb"],
    },
    Crate {
        name: "hive-otlp",
        may_use: &["hive-config", "hive-core"],
        without: &["lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-routes",
        may_use: &["hive-core"],
        without: &["tokio", "lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-sandbox",
        may_use: &[
            "hive-core",
            "hive-config",
            "hive-lifecycle",
            "hive-objects",
            "hive-store",
            "hive-telemetry",
        ],
        without: &["lapin", "axum"],
    },
    Crate {
        name: "hive-schedules",
        may_use: &[],
        without: &["tokio", "lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-screen",
        may_use: &["hive-core"],
        without: &["tokio", "lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-store",
        may_use: &[
            "hive-core",
            "hive-config",
            "hive-lifecycle",
            "hive-telemetry",
        ],
        without: &["lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-telemetry",
        may_use: &["hive-core"],
        without: &["lapin", "wasmtime", "axum"],
    },
    Crate {
        name: "hive-broker",
        may_use: &[],
        without: &["lapin", "wasmtime"],
    },
    Crate {
        name: "hive-demo",
        may_use: &[],
        without: &["lapin", "wasmtime"],
    },
    Crate {
        name: "hive-host",
        may_use: &[
            "hive-amqp",
            "hive-broker",
            "hive-config",
            "hive-contracts",
            "hive-core",
            "hive-demo",
            "hive-http",
            "hive-lifecycle",
            "hive-objects",
            "hive-otlp",
            "hive-routes",
            "hive-sandbox",
            "hive-schedules",
            "hive-screen",
            "hive-store",
            "hive-telemetry",
        ],
        without: &[],
    },
];

/// Libraries that only these crates may name. A name stands for its family too: `wasmtime` is
/// `wasmtime-wasi` as well.
const LIBRARIES: [(&str, &[&str]); 20] = [
    ("base64", &["hive-broker", "hive-core"]),
    ("cel", &["hive-routes"]),
    ("croner", &["hive-schedules"]),
    ("crossterm", &["hive-screen"]),
    ("flate2", &["hive-contracts"]),
    ("glob", &["hive-config"]),
    ("fred", &["hive-store"]),
    ("ratatui", &["hive-screen"]),
    ("redb", &["hive-store"]),
    ("redis", &["hive-store"]),
    ("fail", &["hive-lifecycle"]),
    ("hyper", &["hive-http", "hive-sandbox"]),
    ("jiff", &["hive-schedules"]),
    ("lapin", &["hive-amqp"]),
    ("object_store", &["hive-objects"]),
    ("opentelemetry", &["hive-otlp"]),
    ("prometheus", &["hive-telemetry"]),
    ("reqwest", &["hive-host", "hive-objects"]),
    ("wasmtime", &["hive-sandbox"]),
    ("zstd", &["hive-contracts"]),
];

/// The rule of ARCHITECTURE.md about the crates, and the one about libraries.
const EDGES: u8 = 7;
const NAMES: u8 = 3;

/// A manifest of `host/`: the crate's name and its dependencies, tests' apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name of the package.
    pub name: String,
    /// Where it is, from the top of the workspace.
    pub file: PathBuf,
    /// The names of what it depends on when it is built for use.
    pub dependencies: Vec<String>,
}

/// Reads the manifests of `host/` from the answer to `cargo metadata --no-deps`.
///
/// # Errors
/// An answer of another form.
pub fn manifests(metadata: &Value) -> Result<Vec<Manifest>> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let root = PathBuf::from(text(&metadata["workspace_root"])?);
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut found = Vec::new();
    for package in packages {
        let file = PathBuf::from(text(&package["manifest_path"])?);
        let file = file.strip_prefix(&root)?.to_owned();
        if !file.starts_with("host") {
            continue;
        }
        let dependencies = package["dependencies"].as_array().context("no list")?;
        let normal = dependencies.iter().filter(|one| one["kind"].is_null());
        found.push(Manifest {
            name: text(&package["name"])?,
            file,
            dependencies: normal
                .map(|one| text(&one["name"]))
                .collect::<Result<_>>()?,
        });
    }
    Ok(found)
}

/// The names of all crates of the workspace, from the same answer.
///
/// # Errors
/// An answer of another form.
pub fn names(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let name = |package: &Value| package["name"].as_str().map(str::to_owned);
    packages
        .iter()
        .map(|one| name(one).context("no name"))
        .collect()
}

/// Checks one manifest; `ours` are the names of all crates of the workspace.
pub fn check_manifest(manifest: &Manifest, ours: &[String]) -> Vec<Breach> {
    let breach = |rule: u8, what: String| Breach {
        rule: Some(rule),
        file: manifest.file.clone(),
        what,
    };
    let Some(Crate { may_use, .. }) = CRATES.iter().find(|one| one.name == manifest.name) else {
        let what = format!("`{}` is not in the table of crates", manifest.name);
        return vec![breach(EDGES, what)];
    };
    let mut broken = Vec::new();
    for dependency in &manifest.dependencies {
        if ours.contains(dependency) && !may_use.contains(&dependency.as_str()) {
            broken.push(breach(EDGES, format!("depends on `{dependency}`")));
        }
        let owners = LIBRARIES
            .iter()
            .find(|(name, _)| is_of_family(dependency, name));
        if owners.is_some_and(|(_, owners)| !owners.contains(&manifest.name.as_str())) {
            broken.push(breach(NAMES, format!("names the library `{dependency}`")));
        }
    }
    broken
}

/// Checks everything that the crate of `manifest` is built from: the names in `tree`.
pub fn check_tree(manifest: &Manifest, tree: &[String]) -> Vec<Breach> {
    let Some(Crate { without, .. }) = CRATES.iter().find(|one| one.name == manifest.name) else {
        return Vec::new();
    };
    let strange = tree
        .iter()
        .filter(|name| without.iter().any(|other| is_of_family(name, other)));
    let breach = |name: &String| Breach {
        rule: Some(EDGES),
        file: manifest.file.clone(),
        what: format!("is built with `{name}`"),
    };
    strange.map(breach).collect()
}

fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
