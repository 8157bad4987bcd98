//! How long a newcomer waits at each step of a project of `hive-host new`, with a library added before the first
//! build. Nothing that was compiled or downloaded before is in the project; what tools keep for all projects is there.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Project, ProjectLanguage, scratch};
use tokio::time::Instant;

use crate::{row, seconds};

/// The heads of the table's columns.
pub(crate) const HEAD: [&str; 8] = [
    "`--lang`",
    "`new`",
    "tools",
    "library",
    "test",
    "build",
    "`invoke`",
    "`dev`: a change serves",
];

/// One language's line of the table.
pub(crate) async fn line(language: ProjectLanguage) -> Result<String> {
    let begun = Instant::now();
    let project = Project::make(language, "greeter").await?;
    let new = begun.elapsed();
    let cache = scratch("cache").display().to_string();
    let project = project.with("HIVE_CACHE_DIR", &cache);
    let readme = project.readme()?;
    let tools = timed(&project, &readme.set_up).await?;
    let library = match &*readme.library {
        "" => "–".to_owned(),
        commands => seconds(timed(&project, commands).await?),
    };
    project.use_library()?;
    let test = timed(&project, &readme.tests()).await?;
    let build = timed(&project, readme.build_command()).await?;
    let invoke = timed(&project, readme.invoke()?).await?;
    let change = change(&project, language).await?;
    Ok(row([
        format!("`{}`", language.lang),
        seconds(new),
        seconds(tools),
        library,
        seconds(test),
        seconds(build),
        seconds(invoke),
        seconds(change),
    ]))
}

/// How long these commands take in a project.
pub(crate) async fn timed(project: &Project, commands: &str) -> Result<Duration> {
    let begun = Instant::now();
    project.does(commands).await?;
    Ok(begun.elapsed())
}

/// From a changed source to the new component at work, in `hive-host dev`.
async fn change(project: &Project, language: ProjectLanguage) -> Result<Duration> {
    let mut host = project.dev(&[])?.quietly();
    host.wait_for_output("consumer=greeter queue=greeter.in")
        .await?;
    project.change(language.handler, "welcome", "good morning")?;
    let begun = Instant::now();
    host.wait_for_output(" before=1 generation=2").await?;
    let serves = begun.elapsed();
    host.stop().await?;
    Ok(serves)
}
