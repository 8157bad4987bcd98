//! What a shell completes at a tab.

use anyhow::Result;
use hive_tests::{Shell, run_to_end, scratch};

const HIVE_TOML: &str = r#"
[queues.rest]
[queues."orders.created"]
[components.greeter]
path = "greeter.wasm"
[consumers.letters]
queue = "orders.created"
component = "greeter"
"#;

/// What is typed before the tab, and the line after it.
const TYPED: [(&str, &str); 9] = [
    ("hive-host pee", "hive-host peek"),
    ("hive-host dead rep", "hive-host dead republish"),
    ("hive-host dead list --wh", "hive-host dead list --where"),
    ("hive-host completions z", "hive-host completions zsh"),
    ("hive-host run hive.t", "hive-host run hive.toml"),
    ("hive-host pause let", "hive-host pause letters"),
    (
        "hive-host swap hive.toml gr",
        "hive-host swap hive.toml greeter",
    ),
    (
        "hive-host publish --queue re",
        "hive-host publish --queue rest",
    ),
    (
        "hive-host peek --limit 3 re",
        "hive-host peek --limit 3 rest",
    ),
];

/// Types each line into a shell, and a tab; then has the shell print the line.
async fn complete(program: &str, set_up: &str) -> Result<()> {
    let folder = scratch("completions");
    std::fs::write(folder.join("hive.toml"), HIVE_TOML)?;
    let mut shell = Shell::within(&folder).at_a_terminal(program)?;
    // The line that is typed is not to look like what it prints.
    shell.types(&format!("{set_up}; echo re''ady\n"))?;
    shell.shows("ready").await?;
    for (number, (typed, expected)) in TYPED.into_iter().enumerate() {
        // The cursor to the beginning, and to the end: ctrl-a, ctrl-e.
        shell.types(&format!("{typed}\t\x01echo 'line''{number} \x05'\n"))?;
        shell.shows(&format!("line{number} {expected}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn bash_completes_commands_flags_files_and_names() -> Result<()> {
    let set_up = "source <(hive-host completions bash)";
    complete("bash --norc --noprofile -i", set_up).await
}

#[tokio::test]
async fn zsh_completes_commands_flags_files_and_names() -> Result<()> {
    let set_up = "autoload -U compinit; compinit -u -D; source <(hive-host completions zsh)";
    complete("zsh -f -i", set_up).await
}

#[test]
fn another_shell_is_refused() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let printed = run_to_end(&["completions", shell])?;
        assert_eq!(printed.code, Some(0), "{shell}: {}", printed.stderr);
        assert!(printed.stdout.contains("hive-host"), "{shell}");
    }
    assert_eq!(run_to_end(&["completions", "tcsh"])?.code, Some(2));
    Ok(())
}
