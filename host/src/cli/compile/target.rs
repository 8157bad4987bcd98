//! Which components are compiled, and where to.

use std::path::{Path, PathBuf};

use hive_config::plan::{ComponentPlan, Plan};
use hive_core::nearest;

use crate::cli::say::fault;
use crate::cli::{Exit, PlanFile};

/// The ends of names of files that are compiled.
const SOURCES: [&str; 2] = ["wasm", "wat"];
/// The end of the names of files of native code.
const NATIVE: &str = "cwasm";

/// One component.
#[derive(Debug)]
pub(super) struct Target {
    /// Its `path` is the file that is compiled.
    pub(super) component: ComponentPlan,
    /// The file of native code.
    pub(super) file: PathBuf,
    /// hive.toml names another file.
    pub(super) is_to_be_named: bool,
}

impl Target {
    fn new(component: ComponentPlan, out: Option<&Path>, is_of_a_plan: bool) -> Self {
        let is_native = has_end(&component.path, &[NATIVE]);
        let beside = component.path.with_extension(NATIVE);
        let file = match out {
            None => beside,
            Some(folder) if folder.is_dir() => folder.join(beside.file_name().unwrap_or_default()),
            Some(file) => file.to_owned(),
        };
        let is_to_be_named = is_of_a_plan && file != component.path;
        let mut component = component;
        if is_native {
            component.path = source_beside(&component.path);
            // It is that of the native code.
            component.sha256 = None;
        }
        Self {
            component,
            file,
            is_to_be_named,
        }
    }
}

/// What native code is compiled from: the file of the same name beside it.
fn source_beside(native: &Path) -> PathBuf {
    let mut sources = SOURCES.iter().map(|end| native.with_extension(end));
    let found = sources.find(|source| source.is_file());
    // If there is none, this is the name that is missed.
    found.unwrap_or_else(|| native.with_extension(SOURCES[0]))
}

fn has_end(file: &Path, ends: &[&str]) -> bool {
    file.extension()
        .is_some_and(|end| ends.iter().any(|one| end == *one))
}

/// The components of a hive.toml, all or those that are named; or files of components.
pub(super) fn targets(
    file: &PlanFile,
    names: &[String],
    out: Option<&Path>,
) -> Result<Vec<Target>, Exit> {
    let is_of_a_plan = !has_end(&file.file, &SOURCES);
    let targets = match is_of_a_plan {
        true => planned(&file.load()?, &file.file, names)?,
        false => files(&file.file, names),
    };
    if targets.len() > 1 && out.is_some_and(|out| !out.is_dir()) {
        fault!(
            "--out is one file, and there are {} components; name a folder that exists",
            targets.len()
        );
        return Err(Exit::Misused);
    }
    let targets = targets.into_iter();
    Ok(targets
        .map(|one| Target::new(one, out, is_of_a_plan))
        .collect())
}

fn files(first: &Path, others: &[String]) -> Vec<ComponentPlan> {
    let others = others.iter().map(Path::new);
    std::iter::once(first)
        .chain(others)
        .map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            ComponentPlan::of_file(name.as_ref().into(), file.to_owned())
        })
        .collect()
}

fn planned(plan: &Plan, file: &Path, names: &[String]) -> Result<Vec<ComponentPlan>, Exit> {
    let components = &plan.components;
    if names.is_empty() {
        return Ok(components.values().cloned().collect());
    }
    let named = names.iter().map(|name| {
        components.get(name.as_str()).cloned().ok_or_else(|| {
            let known = components.keys().map(|name| &**name);
            let advice = nearest::advice(name, known, "the components are");
            fault!("{} has no component {name:?}; {advice}", file.display());
            Exit::Misused
        })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &Path, out: Option<&Path>) -> Target {
        let mut component = ComponentPlan::of_file("orders".into(), path.to_owned());
        component.sha256 = Some("5a".to_owned());
        Target::new(component, out, true)
    }

    #[test]
    fn the_file_is_beside_the_component_or_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("orders.wasm");
        let beside = target(&component, None);
        assert_eq!(beside.file, folder.path().join("orders.cwasm"));
        assert_eq!(beside.component.path, component);
        assert!(beside.is_to_be_named && beside.component.sha256.is_some());
        let file = target(&component, Some(Path::new("/srv/o.cwasm"))).file;
        assert_eq!(file, Path::new("/srv/o.cwasm"));
        let within = target(&component, Some(folder.path())).file;
        assert_eq!(within, folder.path().join("orders.cwasm"));
    }

    #[test]
    fn native_code_that_the_plan_names_is_compiled_from_the_component_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let native = folder.path().join("orders.cwasm");
        let made = target(&native, None);
        assert_eq!(made.file, native);
        assert_eq!(made.component.path, folder.path().join("orders.wasm"));
        assert!(!made.is_to_be_named && made.component.sha256.is_none());
        std::fs::write(folder.path().join("orders.wat"), "").unwrap();
        let source = target(&native, None).component.path;
        assert_eq!(source, folder.path().join("orders.wat"));
    }
}
