//! The builds of the projects of `hive-host new`, where a tool is missing or old, or the source is wrong: they say so.

use anyhow::{Result, ensure};
use hive_tests::{Project, ProjectLanguage};

async fn project(lang: &str) -> Result<Project> {
    let name = format!("faulty-{lang}");
    Project::make(ProjectLanguage::named(lang), &name).await
}

/// The commands run with a PATH of nothing but these.
const FEW_TOOLS: &str = "mkdir few\n\
    for tool in sh make find mkdir rm; do ln -s \"$(command -v $tool)\" few/; done\n\
    export PATH=\"$PWD/few\"\n";

async fn names_what_is_missing(lang: &str, commands: &[(&str, &str)]) -> Result<()> {
    let project = project(lang).await?;
    for (command, words) in commands {
        let made = project
            .run(&format!("rm -rf few\n{FEW_TOOLS}{command}"))
            .await?;
        ensure!(made.code == Some(2), "{command}: {made:?}");
        ensure!(made.stderr.contains(words), "{command}: {made:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_build_without_go_says_what_to_install() -> Result<()> {
    let words = "go is missing: install Go 1.24 or later from https://go.dev/dl";
    names_what_is_missing("go", &[("make", words), ("make test", words)]).await
}

#[tokio::test]
async fn a_build_without_its_tools_says_where_to_find_how_they_are_installed() -> Result<()> {
    let words = "componentize-py is missing: README.md has the commands";
    names_what_is_missing("python", &[("make", words)]).await?;
    names_what_is_missing("c", &[("make", "zig is missing: README.md has")]).await
}

#[tokio::test]
async fn a_syntax_error_of_python_ends_the_build_before_the_component_is_made() -> Result<()> {
    let project = project("python").await?;
    project.set_up().await?;
    project.change("src/greet.py", "def name_in(", "def name_in(:")?;
    let made = project.run("make").await?;
    ensure!(made.code == Some(2), "{made:?}");
    let place = "File \"src/greet.py\", line 11";
    ensure!(made.stdout.contains(place), "{made:?}");
    ensure!(!made.stdout.contains("componentize -p"), "{made:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_package_of_python_has_for_this_machine_is_left_out() -> Result<()> {
    let project = project("python").await?;
    project.set_up().await?;
    project
        .does("echo markupsafe >> requirements.txt\nmake build/libraries")
        .await?;
    let found = project
        .does("cd build/libraries && find . -type f")
        .await?
        .stdout;
    ensure!(found.contains("./markupsafe/_native.py"), "{found}");
    ensure!(!found.contains(".so\n"), "{found}");
    Ok(())
}

#[tokio::test]
async fn typescript_is_tested_on_node_20() -> Result<()> {
    let project = project("ts").await?;
    project.set_up().await?;
    // The package has the program in it, and runs no script when it is installed.
    let node = "node-linux-$(node -p process.arch)";
    project
        .does(&format!(
            "npm install --no-audit --prefix old {node}@20.20.2"
        ))
        .await?;
    let test =
        format!("export PATH=\"$PWD/old/node_modules/{node}/bin:$PATH\"\nnode --version\nnpm test");
    let tested = project.does(&test).await?;
    for words in ["v20.20.2", "# tests 2", "# pass 2"] {
        ensure!(tested.stdout.contains(words), "{words}: {tested:?}");
    }
    project.change("test/greet.test.ts", "'{}'", "'{\"name\": \"Ada\"}'")?;
    let failed = project.run(&test).await?;
    ensure!(failed.code == Some(1), "{failed:?}");
    ensure!(
        failed.stdout.contains("test/greet.test.ts:17:"),
        "{failed:?}"
    );
    Ok(())
}
