//! Answered writes survive a `kill -9` of the process.

use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

const CHILD: &str = "HIVE_TEST_STORE";

/// The process that is killed: several tasks count for ever, and it prints each number whose write was
/// answered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of `what_was_answered_survives_kill_9`"]
async fn counts_until_it_is_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD).unwrap());
    let store = open(&path).await.unwrap();
    let counting = (0..8).map(|task| {
        let bucket = in_box(&store);
        Tasks::new().spawn_work(async move {
            loop {
                let key = format!("counted {task}");
                let counted = bucket.increment(key.as_bytes(), 1).await.unwrap().unwrap();
                let line = format!("{key}={counted}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    future::join_all(counting).await;
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let mut told = std::collections::BTreeMap::<String, u64>::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::killed::counts_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            let number = line
                .split_once('=')
                .filter(|(key, _)| key.starts_with("counted"));
            if let Some((key, number)) = number {
                told.insert(key.to_owned(), number.parse().unwrap());
            }
        };
        for line in lines.by_ref().take(100 * round) {
            note(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Numbers that it had written into the pipe by then were answered too.
        lines.map_while(Result::ok).for_each(&mut note);
        let store = open(&path).await.unwrap();
        for (key, number) in &told {
            let kept = in_box(&store).get(key.as_bytes()).await.unwrap().unwrap();
            let kept: u64 = String::from_utf8(kept).unwrap().parse().unwrap();
            // The last write may have reached the file before the process could print it.
            assert!(
                (*number..=number + 1).contains(&kept),
                "{key}: {kept}, told {number}"
            );
            in_box(&store)
                .set(key.as_bytes(), Value::lasting(number.to_string()))
                .await
                .unwrap();
        }
        store.close().await;
    }
    assert_eq!(told.len(), 8);
}
