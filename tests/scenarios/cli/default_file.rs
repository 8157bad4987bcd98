//! hive.toml that is left out of a command: that of the current folder is meant.

use anyhow::Result;
use hive_tests::{Broker, Commands, HiveToml, HostProcess, Message, scratch};

#[tokio::test]
async fn commands_read_the_file_of_their_folder() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("folder").await?;
    let folder = scratch("folder");
    let file = folder.join("hive.toml");
    let toml = HiveToml::one("letters", "ack", "").queue("rest", "");
    std::fs::write(&file, toml.text(&vhost))?;
    let mut host = HostProcess::launch_file(&file, &[])?;
    host.wait_for_start_of("letters").await?;
    vhost.publish("", "rest", Message::new("hello")).await?;
    vhost.wait_ready("rest", 1).await?;
    let here = Commands::in_folder(&folder);
    let commands: [(&[&str], &str); 9] = [
        (&["check"], ""),
        (&["status"], "letters"),
        (&["status", "hive.toml"], "letters"),
        (&["pause", "letters"], "letters: paused"),
        (&["resume", "--json", "letters"], "changed"),
        (&["reload"], ""),
        (&["peek", "rest"], "hello"),
        (
            &["dead", "list", "--limit", "1", "letters"],
            "letters.dead is empty",
        ),
        (&["publish", "--queue", "rest"], "1 "),
    ];
    for (command, words) in commands {
        let done = here.run(command, &[]).await?;
        assert_eq!(done.code, Some(0), "{command:?}: {done:?}");
        assert!(done.stdout.contains(words), "{command:?}: {done:?}");
    }
    vhost.wait_ready("rest", 2).await?;
    host.stop().await
}

#[tokio::test]
async fn an_error_has_the_path_that_was_looked_for() -> Result<()> {
    let folder = scratch("folder");
    let here = Commands::in_folder(&folder);
    let cases: [(&[&str], &str); 4] = [
        (&["run"], "hive.toml"),
        (&["pause", "letters"], "hive.toml"),
        (&["peek", "other.toml", "letters"], "other.toml"),
        (&["check", "host.conf"], "host.conf"),
    ];
    for (command, file) in cases {
        let failed = here.run(command, &[]).await?;
        assert_eq!(failed.code, Some(2), "{command:?}: {failed:?}");
        let path = folder.join(file);
        let told = failed.stderr.contains(&*path.to_string_lossy());
        assert!(told, "{command:?}: {failed:?}");
    }
    Ok(())
}
