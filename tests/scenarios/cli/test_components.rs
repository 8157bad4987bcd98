//! `hive-host test`: cases that call a component.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Finished, HiveToml, built_example, example, example_component, guest, run_to_end, scratch,
};
use serde_json::Value;

use crate::assert_says;

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// A folder with a hive.toml, and test files beside it.
pub(super) struct Project(PathBuf);

impl Project {
    /// The guests as components, the first one with a consumer.
    pub(super) fn of(toml: &HiveToml) -> Result<Self> {
        let folder = scratch("test");
        std::fs::write(folder.join("hive.toml"), toml.text_for(NO_BROKER))?;
        Ok(Self(folder))
    }

    /// One guest with a consumer of its name.
    pub(super) fn one(guest: &str, keys: &str) -> Result<Self> {
        Self::of(
            &HiveToml::new()
                .queue("letters", "")
                .component(guest, keys)
                .consumer("letters", guest, ""),
        )
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.0.join(name), text)?)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// Runs `hive-host test` on its hive.toml.
    pub(super) fn test(&self, arguments: &[&str]) -> Result<Finished> {
        let toml = self.path("hive.toml");
        run_to_end(&[&["test", &toml], arguments].concat())
    }
}

#[tokio::test]
async fn what_a_component_does_is_compared_in_all_its_parts() -> Result<()> {
    let project = Project::one("contract", "")?;
    project.write("body.txt", "from a file")?;
    project.write("recorded.json", r#"{"queue": "letters", "message-id": "r-1", "headers": {"do": "echo"}, "body": "recorded"}"#)?;
    project.write(
        "good.test.toml",
        r#"
        [[component]]
        name = "three publications"
        message = { body = "a", headers = { do = "publish-several" } }
        expect = { action = "publish", publications = [{}, {}, { body = "third" }], time = "5s", memory = "64MiB" }

        [[component]]
        name = "a retry with its delay"
        message = { body-file = "body.txt", headers = { do = "retry-after", delay-ms = 7 } }
        expect = { action = "retry", delay = "7ms" }

        [[component]]
        name = "an error"
        message = { headers = { do = "error" } }
        expect = { failure = "error", error = "plain words" }
        "#,
    )?;
    let done = project.test(&[])?;
    assert_says(
        &done,
        0,
        &[
            "good.test.toml",
            "ok   three publications",
            "3 passed, 0 failed",
        ],
    );

    project.write(
        "bad.test.toml",
        r#"
        [[component]]
        name = "one publication too few"
        message = { headers = { do = "publish-several" } }
        expect = { publications = [{}, { exchange = "there" }] }

        [[component]]
        name = "another action"
        message = { headers = { do = "retry-after", delay-ms = 7 } }
        expect = { action = "ack" }

        [[component]]
        name = "no failure was expected"
        message = { headers = { do = "error" } }
        "#,
    )?;
    let failed = project.test(&["--json"])?;
    let words = [
        "publications",
        "expected 2, got 3",
        "publications[1].exchange",
        "expected the action \\\"ack\\\", got the action \\\"retry\\\"",
        "expected an action, got the failure \\\"error\\\": \\\"plain words\\\"",
    ];
    assert_says(&failed, 1, &words);
    let objects: Vec<Value> = failed
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let passed: Vec<bool> = objects
        .iter()
        .map(|object| object["passed"] == true)
        .collect();
    assert_eq!(
        passed,
        [false, false, false, true, true, true],
        "{objects:?}"
    );
    let shown = project.test(&["--filter", "another action"])?;
    assert_says(
        &shown,
        1,
        &[
            "FAIL another action",
            "bad.test.toml:7",
            "0 passed, 1 failed",
        ],
    );
    Ok(())
}

#[tokio::test]
async fn lines_time_and_memory_have_their_expectations() -> Result<()> {
    let project = Project::one("stdout", "")?;
    project.write(
        "a.test.toml",
        r#"
        [[component]]
        name = "lines"
        message = { body = "hello" }
        expect = { action = "ack", log = ["out says hello", { contains = "err says" }], no-log = [{ regex = "bye$" }] }
        [[component]]
        name = "too little"
        message = { body = "hello" }
        expect = { log = ["out says"], no-log = [{ regex = "hello$" }], memory = "1KiB", time = "1ms" }
        "#,
    )?;
    let done = project.test(&[])?;
    let words = [
        "ok   lines",
        "log: expected \"out says\" among the lines",
        "no-log: expected no line like a match of /hello$/, got \"out says hello\"",
        "memory: expected at most 1 KiB",
        "stdout out says hello",
    ];
    assert_says(&done, 1, &words);
    Ok(())
}

#[tokio::test]
async fn state_lives_from_step_to_step_and_not_from_case_to_case() -> Result<()> {
    let project = Project::one("count", "")?;
    project.write(
        "a.test.toml",
        r#"
        [[component]]
        name = "counts"
        [[component.steps]]
        message = { body = "a" }
        expect = { publications = [{ exchange = "", routing-key = "out", body = "1 a" }] }
        [[component.steps]]
        message = { body = "b" }
        expect = { publications = [{ body-regex = "^2 " }] }
        [[component.steps]]
        message = { body = "trap" }
        expect = { failure = "trap", error = { contains = "asked to" } }
        [[component.steps]]
        message = { body = "c" }
        expect = { publications = [{ body = "1 c" }] }
        [[component]]
        name = "begins anew"
        message = { body = "d" }
        expect = { publications = [{ body = "1 d" }] }
        "#,
    )?;
    assert_says(&project.test(&[])?, 0, &["2 passed"]);
    Ok(())
}

#[tokio::test]
async fn a_batch_has_an_expectation_for_each_delivery() -> Result<()> {
    let batches = "batch = { size = 10, wait = \"1s\" }";
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("batch", "")
        .consumer("letters", "batch", batches);
    let project = Project::of(&toml)?;
    project.write(
        "a.test.toml",
        r#"
        [[component]]
        name = "a batch"
        expect = { log = ["batch of 3: 1/1 2/4 3/1"] }
        [[component.batch]]
        message = { body = "1 ack" }
        expect = { action = "ack" }
        [[component.batch]]
        message = { body = "2 reject", attempt = 4 }
        expect = { action = "reject", reason = "asked to" }
        [[component.batch]]
        message = { body = "3 publish" }
        expect = { action = "ack" }
        [[component]]
        name = "a batch of one"
        message = { body = "1 ack" }
        "#,
    )?;
    let words = [
        "batch[2].answer: expected the action \"ack\"",
        "ok   a batch of one",
    ];
    assert_says(&project.test(&[])?, 1, &words);
    Ok(())
}

#[tokio::test]
async fn buckets_config_and_clock_are_those_of_the_case() -> Result<()> {
    let project = Project::of(
        &HiveToml::new()
            .queue("letters", "")
            .component("keyvalue", "allow = { keyvalue = [\"box\"] }")
            .component("config", "config = { greeting = \"from hive.toml\" }")
            .component("clock", "")
            .consumer("letters", "keyvalue", ""),
    )?;
    project.write(
        "a.test.toml",
        r#"
        [[component]]
        name = "a bucket"
        keyvalue.box = { a = "1" }
        [[component.steps]]
        message = { body = "box get a" }
        expect = { publications = [{ body = "1" }], keyvalue.box = { a = "1" } }
        [[component.steps]]
        message = { body = "box set b 2" }
        expect = { keyvalue.box = { a = "1", b = "2" } }
        [[component]]
        name = "an empty bucket"
        message = { body = "box count" }
        expect = { publications = [{ body = "0" }] }
        [[component]]
        name = "not as expected"
        message = { body = "box set b 3" }
        expect = { keyvalue.box = { b = "2" } }
        [[component]]
        name = "config of the file"
        component = "config"
        message = {}
        expect = { publications = [{ body = "from hive.toml" }] }
        [[component]]
        name = "config of the case"
        component = "config"
        config = { greeting = "hello" }
        message = {}
        expect = { publications = [{ body = "hello" }] }
        [[component]]
        name = "clock"
        component = "clock"
        clock = "1970-01-02T00:00:01Z"
        message = {}
        expect = { publications = [{ body = "86401" }] }
        "#,
    )?;
    let words = [
        "5 passed, 1 failed",
        "keyvalue.box.b: expected \"2\", got \"3\"",
    ];
    assert_says(&project.test(&[])?, 1, &words);
    Ok(())
}

#[tokio::test]
async fn http_is_answered_by_the_case_alone() -> Result<()> {
    let project = Project::one("fetch", "allow = { http = [\"shop.example\"] }")?;
    project.write(
        "a.test.toml",
        r#"
        [[component]]
        name = "answered"
        http = [
            { url = "http://shop.example/a", method = "GET", status = 302, headers = { location = "http://shop.example/b" }, times = 1 },
            { url = { regex = "/b$" }, body = "hello" },
        ]
        message = { body = "http://shop.example/a" }
        expect = { publications = [{ body = "200 hello" }] }
        [[component]]
        name = "fails"
        http = [{ url = "http://shop.example/", fail = "timeout" }]
        message = { body = "http://shop.example/" }
        expect = { publications = [{ body = "failed: ErrorCode::ConnectionTimeout" }] }
        [[component]]
        name = "not answered"
        http = [{ url = "http://shop.example/other" }]
        message = { body = "http://shop.example/" }
        [[component]]
        name = "not granted"
        message = { body = "http://elsewhere.example/" }
        expect = { publications = [{ body-regex = "Denied" }] }
        "#,
    )?;
    let words = [
        "ok   answered",
        "ok   fails",
        "ok   not granted",
        "http: no `http` of the case answers GET http://shop.example/; it was refused",
        "http[0]: expected a request to \"http://shop.example/other\", got none",
    ];
    assert_says(&project.test(&[])?, 1, &words);
    Ok(())
}

#[tokio::test]
async fn a_snapshot_is_kept_compared_and_kept_anew() -> Result<()> {
    let project = Project::one("config", "config = { greeting = \"hello\" }")?;
    let case = "[[component]]\nname = \"kept\"\nmessage = {}\nexpect = { snapshot = true }\n";
    project.write("a.test.toml", case)?;
    assert_says(&project.test(&[])?, 1, &["snapshot: there is none yet"]);
    assert_says(
        &project.test(&["--update"])?,
        0,
        &["snapshots written", "1 passed"],
    );
    let kept = std::fs::read_to_string(project.path("a.test.snap.json"))?;
    assert!(kept.contains("\"body\": \"hello\""), "{kept}");
    assert_says(&project.test(&[])?, 0, &["1 passed"]);
    let changed = case.replace("message", "config = { greeting = \"bye\" }\nmessage");
    project.write("a.test.toml", &changed)?;
    let words = "snapshot[0].publications[0].body: expected \"hello\", got \"bye\"";
    assert_says(&project.test(&[])?, 1, &[words]);
    assert_says(&project.test(&["--update"])?, 0, &["snapshots written"]);
    project.write("a.test.toml", &changed.replace("snapshot = true", ""))?;
    assert_says(&project.test(&["--update"])?, 0, &["snapshots written"]);
    assert!(!Path::new(&project.path("a.test.snap.json")).exists());
    Ok(())
}

#[tokio::test]
async fn a_faulty_file_is_told_with_every_fault_and_runs_nothing() -> Result<()> {
    let project = Project::one("ack", "")?;
    project.write(
        "fine.test.toml",
        "[[component]]\nname = \"x\"\nmessage = {}\n",
    )?;
    project.write(
        "faulty.test.toml",
        "[[component]]\nname = \"a\"\nconsumer = \"lettres\"\nmessage = { bodi = 1 }\n\
         [[component]]\nmessage = { headers = { x = { bytes = \"?\" } } }\nexpect = { time = 3 }\n",
    )?;
    let refused = project.test(&[])?;
    let words = [
        "faulty.test.toml:3",
        "`component[0].consumer` is not a consumer of hive.toml",
        "did you mean `letters`?",
        "did you mean `body`?",
        "`component[1].name` is missing",
        "write \"3s\" for seconds",
        "5 errors",
    ];
    assert_says(&refused, 2, &words);
    assert_eq!(refused.stdout, "", "{refused:?}");
    let none = run_to_end(&["test", &project.path("hive.toml"), "--filter", "nothing"])?;
    assert_says(&none, 2, &[]);
    std::fs::remove_file(project.path("faulty.test.toml"))?;
    let refused = project.test(&["--filter", "nothing"])?;
    assert_says(&refused, 2, &["no case has nothing in its name"]);
    std::fs::remove_file(project.path("fine.test.toml"))?;
    assert_says(&project.test(&[])?, 2, &["has no test file"]);
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_not_built_is_named_and_can_be_built() -> Result<()> {
    let project = Project::one("ack", "")?;
    let toml = std::fs::read_to_string(project.path("hive.toml"))?;
    let guest = guest("ack");
    let guest = guest.display();
    let toml = toml.replace(&guest.to_string(), "made.wasm");
    let build = format!("path = \"made.wasm\"\nbuild = \"cp {guest} made.wasm\"");
    let toml = toml.replace("path = \"made.wasm\"", &build);
    project.write("hive.toml", &toml)?;
    project.write("a.test.toml", "[[component]]\nname = \"x\"\nmessage = {}\n")?;
    let words = ["made.wasm", "build the components first"];
    assert_says(&project.test(&[])?, 2, &words);
    let junit = project.path("report.xml");
    let built = project.test(&["--build", "--junit", &junit])?;
    assert_says(&built, 0, &["building ack", "1 passed"]);
    let xml = std::fs::read_to_string(&junit).context("the report is there")?;
    assert!(
        xml.contains("<testsuites name=\"hive-host test\" tests=\"1\" failures=\"0\""),
        "{xml}"
    );
    Ok(())
}

/// Each example with the component that it needs, and its own test file.
#[tokio::test]
async fn example_cases_of_rust_pass() -> Result<()> {
    for (folder, package) in [
        ("batches", "archive"),
        ("dedup", "payments"),
        ("ordering", "parcels"),
        ("orders", "orders"),
        ("scaling", "scaling"),
        ("streams", "streams"),
        ("tracks", "tracks"),
    ] {
        passes(&example(folder), &example_component(package))?;
    }
    Ok(())
}

#[tokio::test]
async fn example_cases_of_other_languages_pass() -> Result<()> {
    for (folder, component) in [
        ("cleaning-python", "cleaning"),
        ("frames-c", "frames"),
        ("invoices-go", "invoices"),
        ("webhook-js", "webhook"),
        ("webhook-ts", "webhook"),
    ] {
        let folder = built_example(folder);
        passes(&folder, &folder.join(format!("build/{component}.wasm")))?;
    }
    Ok(())
}

/// Runs the cases of an example in a copy of its folder, with the component where it was built.
fn passes(folder: &Path, component: &Path) -> Result<()> {
    let copy = scratch("example-cases");
    std::fs::create_dir_all(copy.join("messages"))?;
    std::fs::create_dir_all(copy.join("archive"))?;
    for file in std::fs::read_dir(folder.join("messages"))? {
        let file = file?;
        std::fs::copy(file.path(), copy.join("messages").join(file.file_name()))?;
    }
    let mut tests = 0;
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().to_string_lossy().ends_with(".test.toml") {
            std::fs::copy(file.path(), copy.join(file.file_name()))?;
            tests += 1;
        }
    }
    ensure!(tests > 0, "{} has no cases", folder.display());
    let toml = std::fs::read_to_string(folder.join("hive.toml"))?;
    let lines = toml
        .lines()
        .map(|line| match line.strip_prefix("path = \"") {
            Some(path) if path.contains(".wasm") => format!("path = {component:?}"),
            _ => line.to_owned(),
        });
    let lines: Vec<String> = lines.collect();
    std::fs::write(copy.join("hive.toml"), lines.join("\n"))?;
    let done = run_to_end(&["test", &copy.join("hive.toml").to_string_lossy()])?;
    ensure!(done.code == Some(0), "{}: {done:?}", folder.display());
    Ok(())
}
