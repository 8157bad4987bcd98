//! `hive-host demo`: the orders example in one process, without a RabbitMQ and without a file.

use anyhow::Result;
use hive_tests::{Commands, scratch};

/// What it prints of each order, and of each queue at the end.
const SHOWN: [&str; 8] = [
    "orders o-1001: publish 1 (",
    "orders o-1002: publish 1 (",
    "orders o-1004: retry in 1s: there is no price of \"teapot\" yet (",
    "dead-lettered: there is no price of \"teapot\" yet (",
    "orders o-1005: reject: country is \"Portugal\", not two letters;",
    "  orders.created                     0\n",
    "  orders.created.dead                2\n",
    "  orders.priced                      2\n",
];

#[tokio::test]
async fn it_shows_acks_a_retry_and_dead_letters_and_leaves_no_file() -> Result<()> {
    let folder = scratch("demo");
    let place = folder.to_string_lossy();
    // What is set for other hosts means nothing to it.
    let variables = [
        ("TMPDIR", &*place),
        ("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:1/%2f"),
        ("RABBITMQ_HEARTBEAT", "no heartbeat"),
    ];
    let shown = Commands::anywhere(&variables).run(&["demo"], &[]).await?;
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""), "{shown:?}");
    for line in SHOWN {
        assert!(shown.stdout.contains(line), "{line}\n{}", shown.stdout);
    }
    let left = std::fs::read_dir(&folder)?.count();
    assert_eq!(left, 0, "files are left in {place}");
    Ok(())
}
