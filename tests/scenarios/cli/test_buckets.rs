//! `hive-host test`: objects that a case gives, and those that its component must have written.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hive_tests::{HiveToml, example, example_component, scratch};

use super::test_components::Project;
use crate::assert_says;

/// A guest that does to its containers what it is told to. They are in a directory that must stay empty.
fn containers(names: &[&str]) -> Result<(Project, PathBuf)> {
    let folder = scratch("test-objects");
    let grants = names
        .iter()
        .map(|name| format!("{name} = \"file:{}\"", folder.display()));
    let grants: Vec<String> = grants.collect();
    let keys = format!("allow = {{ blobstore = {{ {} }} }}", grants.join(", "));
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("objects", &keys)
        .consumer("letters", "objects", "");
    Ok((Project::of(&toml)?, folder))
}

fn assert_empty(folder: &Path) -> Result<()> {
    let mut written = std::fs::read_dir(folder)?;
    assert!(written.next().is_none(), "a case wrote to the disk");
    Ok(())
}

#[tokio::test]
async fn objects_are_those_of_the_case() -> Result<()> {
    let (project, folder) = containers(&["box"])?;
    project.write("given.txt", "from a file")?;
    project.write(
        "good.test.toml",
        r#"
        [[component]]
        name = "what is given is read"
        objects.box = { "a" = "one", "deep/b" = { body-json = { n = 1 } }, "c" = { body-file = "given.txt" }, "d" = {} }
        [[component.steps]]
        message = { body = "box names" }
        expect = { publications = [{ body = "a c d deep/b" }] }
        [[component.steps]]
        message = { body = "box get deep/b" }
        expect = { publications = [{ body-json = { n = 1 } }] }
        [[component.steps]]
        message = { body = "box get c" }
        expect = { publications = [{ body = "from a file" }] }

        [[component]]
        name = "what is written is compared after each call"
        objects.box.old = "there before"
        [[component.steps]]
        message = { body = "box put new/a {\"n\":1,\"m\":2}" }
        [component.steps.expect]
        objects = [
            { name = "new/a", body-subset = { n = 1 } },
            { name = "old", body = "there before" },
            { name = { contains = "" }, absent = true },
        ]
        [[component.steps]]
        message = { body = "box delete old" }
        [component.steps.expect]
        objects = [
            { container = "box", name = { regex = "^new/" }, body-json = { m = 2, n = 1 } },
            { name = "old", absent = true },
        ]

        [[component]]
        name = "another case has none of them"
        message = { body = "box names" }
        expect = { publications = [{ body = "" }], objects = [{ name = { contains = "" }, absent = true }] }
        "#,
    )?;
    assert_says(&project.test(&[])?, 0, &["3 passed, 0 failed"]);
    assert_empty(&folder)
}

#[tokio::test]
async fn objects_that_differ_are_shown_with_what_is_there() -> Result<()> {
    let (project, _) = containers(&["box"])?;
    project.write(
        "bad.test.toml",
        r#"
        [[component]]
        name = "another content"
        message = { body = "box put a {\"n\":1}" }
        expect = { objects = [{ name = "a", body-json = { n = 2 } }] }

        [[component]]
        name = "another name"
        message = { body = "box put b two" }
        expect = { objects = [{ name = "a" }] }

        [[component]]
        name = "too many"
        message = { body = "box put c three" }
        expect = { objects = [{ name = { regex = "." }, absent = true }] }

        [[component]]
        name = "not gzipped"
        message = { body = "box put d.gz four" }
        expect = { objects = [{ name = "d.gz", body = "four" }] }
        "#,
    )?;
    let failed = project.test(&[])?;
    let words = [
        "objects.box.a.n: expected 2, got 1",
        "objects[0]: expected an object in \"box\" whose name is \"a\", got \"b\"",
        "objects[0]: expected no other object in \"box\" whose name is a match of /./, got \"c\"",
        "objects.box.d.gz: its name ends in `.gz`, and it is not gzipped",
        "0 passed, 4 failed",
    ];
    assert_says(&failed, 1, &words);
    Ok(())
}

#[tokio::test]
async fn objects_of_containers_that_are_not_granted_are_faults_of_the_file() -> Result<()> {
    let (project, _) = containers(&["box", "other"])?;
    project.write(
        "faulty.test.toml",
        r#"
        [[component]]
        name = "a"
        objects.bux.a = "one"
        message = {}

        [[component]]
        name = "b"
        objects.box.a = { body = "one", body-json = 1 }
        message = {}
        [component.expect]
        objects = [{ name = "a" }, { container = "box", name = "a", body = "x", absent = true }, { container = "box" }]
        "#,
    )?;
    let refused = project.test(&[])?;
    let words = [
        "faulty.test.toml:4",
        "is not granted by `allow.blobstore` of the component: \"bux\"",
        "did you mean `box`?",
        "is a second body",
        "`allow.blobstore` grants several: box, other",
        "cannot be combined with a content",
        "`component[1].expect.objects[2].name` is missing",
        "5 errors",
    ];
    assert_says(&refused, 2, &words);
    Ok(())
}

#[tokio::test]
async fn a_case_of_the_whole_hive_toml_writes_to_no_store() -> Result<()> {
    let (project, folder) = containers(&["box"])?;
    project.write(
        "flow.test.toml",
        r#"
        [[flow]]
        name = "what is written is read"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "box put a one" }
        [[flow.steps]]
        expect = { queue = "out", count = 1 }
        [[flow.steps]]
        publish = { routing-key = "letters", body = "box get a" }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "done" }, { body = "one" }] }
        "#,
    )?;
    assert_says(&project.test(&[])?, 0, &["1 passed, 0 failed"]);
    assert_empty(&folder)
}

/// What the example tests in its own file is what it writes: a case that expects another track in its object fails.
#[tokio::test]
async fn gzipped_lines_are_compared_line_by_line() -> Result<()> {
    let component = example_component("tracks");
    let toml = std::fs::read_to_string(example("tracks").join("hive.toml"))?;
    let path = toml.lines().find(|line| line.starts_with("path = \"../"));
    let toml = toml.replace(path.unwrap_or_default(), &format!("path = {component:?}"));
    let folder = scratch("test-tracks");
    std::fs::write(folder.join("hive.toml"), toml)?;
    std::fs::write(
        folder.join("tracks.test.toml"),
        r#"
        [[component]]
        name = "another track"
        message = { body-json = { title = "Vitamin C" }, message-id = "1" }
        [[component.expect.objects]]
        name = { regex = '^[0-9a-f]{64}\.jsonl\.gz$' }
        body = "{\"id\":\"1\",\"title\":\"Hallogallo\"}\n"
        "#,
    )?;
    let file = folder.join("hive.toml");
    let failed = hive_tests::run_to_end(&["test", &file.to_string_lossy()])?;
    let words = [
        ".jsonl.gz: - expected, + got",
        r#"- {"id":"1","title":"Hallogallo"}"#,
        r#"+ {"id":"1","title":"Vitamin C"}"#,
    ];
    assert_says(&failed, 1, &words);
    Ok(())
}
