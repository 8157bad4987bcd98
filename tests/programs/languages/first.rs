//! The first minute without a RabbitMQ: `hive-host demo`, from `new` to the first message that `dev` handles, and a
//! hundred cases of `hive-host test`. What tools keep for all projects is there; nothing of the project is.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Commands, Finished, Project, ProjectLanguage, scratch};
use tokio::time::Instant;

use crate::steps::timed;
use crate::{row, seconds};

/// How often the demo is run.
const DEMOS: usize = 5;

/// Cases of `hive-host test`.
const CASES: u32 = 100;

/// The heads of the table's columns.
pub(crate) const HEAD: [&str; 7] = [
    "`--lang`",
    "`new`",
    "tools",
    "`dev`: the first message is handled",
    "all of it",
    "a hundred cases, which compiles the component",
    "a hundred cases again",
];

/// How long the demo takes, from the start of the process to its end.
pub(crate) async fn demo() -> Result<String> {
    let commands = Commands::anywhere(&[]);
    let mut times = Vec::new();
    for _ in 0..DEMOS {
        let begun = Instant::now();
        ended_well(&commands.run(&["demo"], &[]).await?)?;
        times.push(begun.elapsed());
    }
    times.sort();
    let [shortest, .., longest] = &times[..] else {
        anyhow::bail!("it was run several times");
    };
    Ok(format!(
        "`hive-host demo`: {}, median of {DEMOS} ({} to {})\n",
        seconds(times[DEMOS / 2]),
        seconds(*shortest),
        seconds(*longest)
    ))
}

/// One language's line of the table.
pub(crate) async fn line(language: ProjectLanguage) -> Result<String> {
    let begun = Instant::now();
    let project = Project::make(language, "greeter").await?;
    let new = begun.elapsed();
    let cache = scratch("cache").display().to_string();
    let project = project.with("HIVE_CACHE_DIR", &cache);
    let tools = timed(&project, &project.readme()?.set_up).await?;
    let handled = first_message(&project).await?;
    // The cache is the same, so that the first run would find what `dev` compiled.
    let cold = scratch("cache").display().to_string();
    let project = project.with("HIVE_CACHE_DIR", &cold);
    std::fs::write(project.folder.join("hundred.test.toml"), cases(&project)?)?;
    let compiled = hundred_cases(&project).await?;
    let again = hundred_cases(&project).await?;
    Ok(row([
        format!("`{}`", language.lang),
        seconds(new),
        seconds(tools),
        seconds(handled),
        seconds(new + tools + handled),
        seconds(compiled),
        seconds(again),
    ]))
}

/// From the start of `hive-host dev`, which builds the component, until it has handled the project's message.
async fn first_message(project: &Project) -> Result<Duration> {
    let begun = Instant::now();
    let mut host = project.dev(&["--feed", "messages/one.json"])?.quietly();
    host.wait_for_output("greeter one: publish 1 (").await?;
    let handled = begun.elapsed();
    host.stop().await?;
    Ok(handled)
}

async fn hundred_cases(project: &Project) -> Result<Duration> {
    let begun = Instant::now();
    let command = "hive-host test hive.toml hundred.test.toml";
    let finished = project.does(command).await?;
    let took = begun.elapsed();
    let told = &finished.stdout;
    ensure!(told.contains(&format!("{CASES} passed")), "{told}");
    Ok(took)
}

/// A test file in which each case greets another name.
fn cases(project: &Project) -> Result<String> {
    let mut text = String::new();
    for number in 1..=CASES {
        let name = &project.name;
        write!(
            text,
            "[[component]]\n\
             name = \"{number}\"\n\
             message = {{ body-json = {{ name = \"guest {number}\" }} }}\n\
             expect = {{ publications = [{{ routing-key = \"{name}.out\", body-regex = 'hello .*guest {number}\\b' }}] }}\n\n"
        )
        .context("a String takes everything")?;
    }
    Ok(text)
}

fn ended_well(finished: &Finished) -> Result<()> {
    ensure!(finished.code == Some(0), "it failed: {finished:?}");
    Ok(())
}
