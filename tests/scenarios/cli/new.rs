//! `hive-host new`: a project of each language, taken from the first command to a changed line that serves, by the
//! commands of its own README, the library that the README adds among them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HostProcess, Project, ProjectLanguage, Shell, Vhost, scratch};

#[tokio::test]
async fn new_rust() -> Result<()> {
    follows_its_readme("rust").await
}

#[tokio::test]
async fn new_js() -> Result<()> {
    follows_its_readme("js").await
}

#[tokio::test]
async fn new_ts() -> Result<()> {
    follows_its_readme("ts").await
}

#[tokio::test]
async fn new_python() -> Result<()> {
    follows_its_readme("python").await
}

#[tokio::test]
async fn new_c() -> Result<()> {
    follows_its_readme("c").await
}

#[tokio::test]
async fn new_go() -> Result<()> {
    follows_its_readme("go").await
}

async fn follows_its_readme(lang: &str) -> Result<()> {
    let language = ProjectLanguage::named(lang);
    let name = format!("greeter-{lang}");
    let vhost = Broker::shared().await?.vhost(&name).await?;
    let project = Project::make(language, &name).await?;
    let project = project.with("RABBITMQ_URL", &vhost.url());
    let readme = project.readme()?;
    let next = [&*readme.set_up, &readme.build, &readme.run].concat();
    for line in next.lines() {
        let told = &project.told;
        ensure!(told.contains(line), "{line} is not told: {told}");
    }

    project.set_up().await?;
    let built = project.does(&readme.build).await?;
    for words in [" hello Ada", &format!("\"{name}.out\"")] {
        ensure!(built.stdout.contains(words), "{words}: {built:?}");
    }
    let run = readme.run.trim();
    ensure!(run == "hive-host run hive.toml", "{run}");
    project.change("hive.toml", "[host]\n", "[host]\nadmin = \"127.0.0.1:0\"\n")?;
    let url = vhost.url();
    let file = project.folder.join("hive.toml");
    let mut host = HostProcess::launch_file(&file, &[("RABBITMQ_URL", &url)])?;
    host.wait_for_start().await?;
    sends(&project, "hello Ada", &readme.send, &vhost).await?;

    ensure!(readme.library.is_empty() == (lang == "c"), "{readme:?}");
    project.does(&readme.library).await?;
    project.use_library()?;
    project.does(&readme.tests()).await?;
    // The host has a port of its own, as several run at once here.
    let port = host.admin_port().await?;
    project.change("hive.toml", "127.0.0.1:0", &format!("127.0.0.1:{port}"))?;
    let swapped = project.does(&readme.change).await?;
    ensure!(swapped.stdout.contains("generation 2"), "{swapped:?}");
    let invoked = project.does(readme.invoke()?).await?;
    ensure!(invoked.stdout.contains(language.greeting), "{invoked:?}");
    sends(&project, language.greeting, &readme.send, &vhost).await?;
    crate::assert_settled(&vhost, &mut host, &format!("{name}.in")).await
}

/// Sends its message by the commands of the README; this greeting is to come of it.
async fn sends(project: &Project, greeting: &str, commands: &str, vhost: &Vhost) -> Result<()> {
    let (publish, look) = commands
        .split_once('\n')
        .context("a message is sent, and what came of it is looked at")?;
    let out = format!("{}.out", project.name);
    project.does(publish).await?;
    // Whoever types is slower than the host.
    vhost.wait_ready(&out, 1).await?;
    let shown = project.does(look).await?;
    ensure!(shown.stdout.contains(greeting), "{shown:?}");
    let came = vhost.take_one(&out).await?;
    ensure!(came.text() == greeting, "it is {:?}", came.text());
    Ok(())
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
    ensure!(made.code == Some(0), "{made:?}");
    assert!(home.join("empty/sdk/hive.js").is_file());
    Ok(())
}
