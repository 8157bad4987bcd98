//! How fast a file is: a measurement for docs/store.md, and no test.

use std::io::Write as _;

use tokio::time::Instant;

use super::*;

/// `cargo test --release -p hive-store --lib -- --ignored --nocapture how_fast_a_file`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement for docs/store.md"]
async fn how_fast_a_file_is() {
    let tell = |line: String| writeln!(std::io::stdout(), "{line}").unwrap();
    // Beside the sources, since a folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = folder.path().join("hive.db");
    let store = open(&path).await.unwrap();
    for tasks in [1, 4, 16, 64, 256] {
        let start = Instant::now();
        let each = 4000 / tasks;
        let counting = (0..tasks).map(|task| {
            let bucket = in_box(&store);
            Tasks::new().spawn_work(async move {
                for _ in 0..each {
                    let key = format!("counted {task}");
                    bucket.increment(key.as_bytes(), 1).await.unwrap();
                }
            })
        });
        future::join_all(counting).await;
        let took = start.elapsed();
        let rate = f64::from(each * tasks) / took.as_secs_f64();
        let wait = took / each;
        tell(format!(
            "{tasks} at once: {rate:.0} increments/s, {wait:?} each"
        ));
    }
    let start = Instant::now();
    for _ in 0..10_000 {
        in_box(&store).get(b"counted 0").await.unwrap();
    }
    tell(format!(
        "one read after the other: {:?} each",
        start.elapsed() / 10_000
    ));
    for thousand in 0..500 {
        let write = |number| Write {
            key: format!("order {thousand} {number}").into_bytes(),
            operation: Operation::Claim(Value::passing(vec![7; 100], 3600 * SECOND)),
        };
        let writes = (0..1000).map(write).collect();
        in_box(&store).write(writes).await.unwrap();
    }
    // The file of a killed process is as it is while it is open.
    let left = folder.path().join("left.db");
    std::fs::copy(&path, &left).unwrap();
    let size = std::fs::metadata(&left).unwrap().len() >> 20;
    let start = Instant::now();
    let reopened = open(&left).await.unwrap();
    let took = start.elapsed();
    tell(format!(
        "500000 claims: {size} MiB, opened after a kill within {took:?}"
    ));
    reopened.close().await;
    let start = Instant::now();
    open(&left).await.unwrap().close().await;
    tell(format!("opened after a stop within {:?}", start.elapsed()));
    let start = Instant::now();
    let tasks = (0..256).map(|task| {
        let bucket = in_box(&store);
        Tasks::new().spawn_work(async move {
            for number in 0..40 {
                let key = format!("claim {task} {number}");
                let claim = bucket.claim(key.as_bytes(), Value::passing("me", 3600 * SECOND));
                assert_eq!(claim.await, Ok(Ok(())));
            }
        })
    });
    future::join_all(tasks).await;
    let rate = f64::from(256 * 40) / start.elapsed().as_secs_f64();
    tell(format!("256 at once, beside those: {rate:.0} claims/s"));
}
