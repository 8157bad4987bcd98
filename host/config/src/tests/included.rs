//! `include`: which files are read, where their paths start from, and whose a problem is.

use super::*;

/// A folder with these files; the first one is hive.toml.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn load_folder(dir: &tempfile::TempDir) -> Result<Loaded, Problems> {
    load(&dir.path().join("hive.toml"), &environment(&[]))
}

#[test]
fn paths_in_an_included_file_start_from_its_own_directory() {
    let dir = folder(&[
        (
            "hive.toml",
            "include = ['d/*.toml']\n[components.main]\npath = 'main.wasm'",
        ),
        (
            "d/one.toml",
            "[connections.one]\nurl = 'file:url'\n[components.one]\npath = 'one.wasm'",
        ),
        ("d/url", "amqp://one:s3cret@host"),
        (
            "d/two.toml",
            "[consumers.two]\nqueue = 'q'\ncomponent = 'one'\nconnection = 'one'",
        ),
        ("d/.hidden.toml", "this is no TOML"),
        ("d/directory.toml/x", ""),
    ]);
    let loaded = load_folder(&dir).unwrap_or_else(|problems| panic!("{problems}"));
    let paths: Vec<_> = loaded
        .plan
        .components
        .values()
        .map(|component| component.path.strip_prefix(dir.path()).unwrap())
        .collect();
    assert_eq!(paths, [Path::new("main.wasm"), Path::new("d/one.wasm")]);
    assert_eq!(
        loaded.plan.connections["one"].password.expose_secret(),
        "s3cret"
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_directory_whose_name_looks_like_a_glob_is_taken_by_its_name() {
    let dir = folder(&[
        ("[a]*/hive.toml", "include = ['*.toml']"),
        ("[a]*/orders.toml", MINIMAL),
        ("a/other.toml", "this is no TOML"),
    ]);
    let loaded = load(&dir.path().join("[a]*/hive.toml"), &environment(&[])).unwrap();
    assert_eq!(loaded.plan.consumers.len(), 1);
}

#[test]
fn files_are_included_in_sorted_order_and_once() {
    let queue = |name: &str| format!("[queues.{name}]");
    let (a, b, c) = (queue("a"), queue("b"), queue("c"));
    let dir = folder(&[
        (
            "hive.toml",
            &format!("include = ['d/b*.toml', 'd/*.toml']\n{MINIMAL}"),
        ),
        ("d/c.toml", &c),
        ("d/a.toml", &a),
        ("d/b.toml", &b),
    ]);
    let loaded = load_folder(&dir).unwrap_or_else(|problems| panic!("{problems}"));
    let queues: Vec<_> = loaded.plan.connections["main"]
        .topology
        .queues
        .iter()
        .map(|queue| &*queue.name)
        .collect();
    assert_eq!(queues, ["b", "a", "c"]);
}

#[test]
fn hundreds_of_files_are_one_plan_and_each_problem_names_its_own() {
    const FILES: usize = 500;
    let dir = folder(&[("hive.toml", "include = ['d/*.toml']")]);
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for number in 0..FILES {
        let text = format!(
            "[connections.c{number}]\nurl = 'amqp://h'\n[components.c{number}]\npath = 'c'\n\
             [queues.q{number}]\nconnection = 'c{number}'\n[consumers.c{number}]\n\
             queue = 'queue-{number}-{}'\ncomponent = 'c{number}'\nconnection = 'c{number}'\n",
            "x".repeat(number % 7),
        );
        std::fs::write(dir.path().join(format!("d/{number:03}.toml")), text).unwrap();
    }
    let loaded = load_folder(&dir).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.plan.consumers.len(), FILES);
    assert_eq!(loaded.plan.connections.len(), FILES);

    let wrong = "[consumers.wrong]\nqueue = 'q'\ncomponent = 'none'\nconnection = 'c1'";
    std::fs::write(dir.path().join("d/250x.toml"), wrong).unwrap();
    let problems = load_folder(&dir).unwrap_err();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.file().file_name().unwrap(), problem.line()))
        .collect();
    assert_eq!(told, [(std::ffi::OsStr::new("250x.toml"), Some(3))]);
}

#[cfg(unix)]
#[test]
fn a_link_to_an_included_file_is_the_same_file() {
    let dir = folder(&[
        ("hive.toml", "include = ['d/*.toml', 'hive.toml']"),
        ("d/orders.toml", MINIMAL),
    ]);
    std::os::unix::fs::symlink("orders.toml", dir.path().join("d/again.toml")).unwrap();
    assert_eq!(load_folder(&dir).unwrap().plan.consumers.len(), 1);
}
