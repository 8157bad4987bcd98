//! `hive-host new`: a project of each language, taken from the first command to a changed line that serves,
//! by the commands of its own README.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, Finished, HostProcess, Shell, Vhost, scratch};
use hive_tests::{target_folder, toolchains, workspace};

/// A language, and where its projects have the line that is changed.
struct Language {
    lang: &'static str,
    handler: &'static str,
    /// What its setting up would fetch stands here already: a name in the project, and where it is.
    at_hand: Option<(&'static str, PathBuf)>,
}

#[tokio::test]
async fn new_rust() -> Result<()> {
    follows_its_readme(Language {
        lang: "rust",
        handler: "src/lib.rs",
        at_hand: Some(("target", target_folder())),
    })
    .await
}

#[tokio::test]
async fn new_js() -> Result<()> {
    follows_its_readme(Language {
        lang: "js",
        handler: "src/greet.js",
        at_hand: Some(node_modules()),
    })
    .await
}

#[tokio::test]
async fn new_ts() -> Result<()> {
    follows_its_readme(Language {
        lang: "ts",
        handler: "src/greet.ts",
        at_hand: Some(node_modules()),
    })
    .await
}

#[tokio::test]
async fn new_python() -> Result<()> {
    follows_its_readme(Language {
        lang: "python",
        handler: "src/greet.py",
        at_hand: Some((".venv", toolchains().join("python"))),
    })
    .await
}

#[tokio::test]
async fn new_c() -> Result<()> {
    follows_its_readme(Language {
        lang: "c",
        handler: "consumer.c",
        at_hand: Some((".venv", toolchains().join("python"))),
    })
    .await
}

#[tokio::test]
async fn new_go() -> Result<()> {
    follows_its_readme(Language {
        lang: "go",
        handler: "main.go",
        at_hand: None,
    })
    .await
}

fn node_modules() -> (&'static str, PathBuf) {
    ("node_modules", toolchains().join("javascript/node_modules"))
}

async fn follows_its_readme(language: Language) -> Result<()> {
    let Language { lang, handler, .. } = language;
    let name = format!("greeter-{lang}");
    let vhost = Broker::shared().await?.vhost(&name).await?;
    let project = Project::make(&language, &name, &vhost).await?;
    let blocks = project.blocks()?;
    let [_set_up, build, run, send, change] = &blocks[..] else {
        anyhow::bail!("the README has other commands than it had: {blocks:?}");
    };

    let built = project.does(build).await?;
    for words in [" hello Ada", &format!("\"{name}.out\"")] {
        ensure!(built.stdout.contains(words), "{words}: {built:?}");
    }
    ensure!(run.trim() == "hive-host run hive.toml", "{run}");
    project.change("hive.toml", "[host]\n", "[host]\nadmin = \"127.0.0.1:0\"\n")?;
    let url = vhost.url();
    let file = project.folder.join("hive.toml");
    let mut host = HostProcess::launch_file(&file, &[("RABBITMQ_URL", &url)])?;
    host.wait_for_start().await?;
    project.sends("hello Ada", send, &vhost).await?;

    project.change(handler, "hello ", "welcome ")?;
    // The host has a port of its own, as several run at once here.
    let port = host.admin_port().await?;
    project.change("hive.toml", "127.0.0.1:0", &format!("127.0.0.1:{port}"))?;
    let swapped = project.does(change).await?;
    ensure!(swapped.stdout.contains("generation 2"), "{swapped:?}");
    project.sends("welcome Ada", send, &vhost).await?;
    crate::assert_settled(&vhost, &mut host, &format!("{name}.in")).await
}

/// What `hive-host new` made.
struct Project {
    name: String,
    folder: PathBuf,
    shell: Shell,
}

impl Project {
    async fn make(language: &Language, name: &str, vhost: &Vhost) -> Result<Self> {
        let home = scratch("new");
        let command = format!("hive-host new {name} --lang {}", language.lang);
        let made = succeeded(Shell::within(&home).run(&command).await?)?;
        let folder = home.join(name);
        let shell = Shell::within(&folder).with_toolchains();
        let project = Self {
            name: name.to_owned(),
            shell: shell.with("RABBITMQ_URL", vhost.url()),
            folder,
        };
        let blocks = project.blocks()?;
        let next = blocks[..3].concat();
        for line in next.lines() {
            ensure!(made.stdout.contains(line), "{line} is not told: {made:?}");
        }
        if let Some((name, there)) = &language.at_hand {
            symlink(there, project.folder.join(name))?;
        }
        if language.lang == "rust" {
            // Whatever else is on the registry by now, these versions are on the machine.
            fs::copy(
                workspace().join("Cargo.lock"),
                project.folder.join("Cargo.lock"),
            )?;
        }
        Ok(project)
    }

    /// The blocks of commands in its README, in their order.
    fn blocks(&self) -> Result<Vec<String>> {
        let readme = fs::read_to_string(self.folder.join("README.md"))?;
        let blocks = readme.split("```sh\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
        Ok(blocks.collect())
    }

    async fn does(&self, commands: &str) -> Result<Finished> {
        succeeded(self.shell.run(commands).await?).with_context(|| commands.to_owned())
    }

    fn change(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(from).count() == 1, "{file} has {from:?} once");
        Ok(fs::write(&path, text.replace(from, to))?)
    }

    /// Sends its message by the commands of the README; this greeting is to come of it.
    async fn sends(&self, greeting: &str, commands: &str, vhost: &Vhost) -> Result<()> {
        let (publish, look) = commands
            .split_once('\n')
            .context("a message is sent, and what came of it is looked at")?;
        let out = format!("{}.out", self.name);
        self.does(publish).await?;
        // Whoever types is slower than the host.
        vhost.wait_ready(&out, 1).await?;
        let shown = self.does(look).await?;
        ensure!(shown.stdout.contains(greeting), "{shown:?}");
        let came = vhost.take_one(&out).await?;
        ensure!(came.text() == greeting, "it is {:?}", came.text());
        Ok(())
    }
}

fn succeeded(finished: Finished) -> Result<Finished> {
    let Finished { stdout, stderr, .. } = &finished;
    ensure!(finished.code == Some(0), "it failed:\n{stdout}\n{stderr}");
    Ok(finished)
}

async fn refused(home: &Path, arguments: &str, words: &[&str]) -> Result<()> {
    let command = format!("hive-host new {arguments}");
    let finished = Shell::within(home).run(&command).await?;
    ensure!(finished.code == Some(2), "{command}: {finished:?}");
    for word in words {
        let told = &finished.stderr;
        ensure!(told.contains(word), "{command}: no {word:?} in {told}");
    }
    Ok(())
}

#[tokio::test]
async fn new_writes_over_nothing_and_tells_what_to_do() -> Result<()> {
    let home = scratch("refused");
    fs::create_dir(home.join("full"))?;
    fs::write(home.join("full/notes.txt"), "mine")?;
    fs::write(home.join("taken"), "mine")?;
    let not_written = ["nothing was written", "another name"];
    refused(&home, "full --lang c", &not_written).await?;
    refused(&home, "taken --lang c", &not_written).await?;
    refused(&home, "Bad_Name --lang c", &["`bad-name`", "lower-case"]).await?;
    refused(&home, "../up --lang c", &["`up`"]).await?;
    refused(&home, "match --lang c", &["`match-consumer`"]).await?;
    let known = ["cobol", "rust, js, ts, python, c, go"];
    refused(&home, "greeter --lang cobol", &known).await?;
    refused(&home, "greeter", &["--lang <LANGUAGE>"]).await?;
    let mut left: Vec<String> = fs::read_dir(&home)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    left.sort();
    assert_eq!(left, ["full", "taken"]);
    assert_eq!(fs::read_to_string(home.join("taken"))?, "mine");
    assert_eq!(fs::read_dir(home.join("full"))?.count(), 1);

    fs::create_dir(home.join("empty"))?;
    let made = Shell::within(&home)
        .run("hive-host new empty --lang javascript")
        .await?;
    succeeded(made)?;
    assert!(home.join("empty/sdk/hive.js").is_file());
    Ok(())
}
