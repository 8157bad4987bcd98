//! Archives what was played: one file of JSON lines for each batch.
//!
//! A file for each message would cost the disk a flush for each. A batch is written and flushed once, and
//! acknowledged after that; what is no play is rejected by itself.

mod file;
mod play;

use hive_guest::{Action, Delivery};

use play::Play;

#[hive_guest::batch_consumer]
fn handle(deliveries: Vec<Delivery>) -> Result<Vec<Action>, String> {
    let mut lines = Vec::new();
    let mut actions = Vec::new();
    for delivery in &deliveries {
        actions.push(match delivery.json::<Play>() {
            Ok(play) => {
                lines.push(play.line()?);
                Action::Ack
            }
            // It will be as malformed next time.
            Err(error) => Action::reject(error),
        });
    }
    // Before any of them is acknowledged. Where it fails, all of them come again.
    file::write(&lines)?;
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use hive_guest::testing::{DeliveryBuilder, set_config};
    use serde_json::{Value, json};

    use super::*;

    /// An archive of this test alone.
    fn archive(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("archive-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        set_config([("folder", folder.to_str().unwrap())]);
        folder
    }

    fn files(folder: &PathBuf) -> Vec<String> {
        let files = std::fs::read_dir(folder).unwrap();
        files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect()
    }

    fn play(listener: &str) -> Delivery {
        let play = json!({ "track": "t-1", "listener": listener, "seconds": 181 });
        DeliveryBuilder::new().json(&play).build()
    }

    #[test]
    fn a_batch_is_one_file_without_what_is_no_play() {
        let folder = archive("one");
        let malformed = DeliveryBuilder::new().text("{}").build();
        let actions = handle(vec![play("ada"), malformed, play("grace")]).unwrap();
        assert!(actions[0].is_ack() && actions[2].is_ack());
        assert!(actions[1].as_reject().unwrap().contains("track"));
        let [file] = &files(&folder)[..] else {
            panic!("one file was expected");
        };
        let lines: Vec<Value> = file
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let listeners: Vec<_> = lines.iter().map(|line| &line["listener"]).collect();
        assert_eq!(listeners, ["ada", "grace"]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_batch_that_comes_again_is_the_same_file() {
        let folder = archive("again");
        for _ in 0..2 {
            handle(vec![play("ada"), play("grace")]).unwrap();
        }
        handle(vec![play("ada")]).unwrap();
        assert_eq!(files(&folder).len(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_archive_that_cannot_be_written_fails_the_whole_batch() {
        set_config([("folder", "/there/is/no/such/folder")]);
        assert!(handle(vec![play("ada")]).unwrap_err().contains("archive"));
        let malformed = DeliveryBuilder::new().text("{}").build();
        let actions = handle(vec![malformed]).expect("there is nothing to write");
        assert!(actions[0].as_reject().is_some());
    }

    #[test]
    fn the_samples_come_to_what_their_names_say() {
        let folder = archive("samples");
        let messages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
        let mut seen = BTreeSet::new();
        for sample in std::fs::read_dir(messages).unwrap() {
            let path = sample.unwrap().path();
            let body = std::fs::read(&path).unwrap();
            let actions = handle(vec![DeliveryBuilder::new().body(body).build()]).unwrap();
            let outcome = match &actions[0] {
                Action::Ack => "archived",
                Action::Reject(_) => "rejected",
                other => panic!("unexpected: {other:?}"),
            };
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.starts_with(outcome), "{name} was {outcome}");
            seen.insert(outcome);
        }
        assert_eq!(seen.len(), 2, "the samples are gone");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
