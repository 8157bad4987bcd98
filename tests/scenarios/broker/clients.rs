//! RabbitMQ's tutorials on four clients, against RabbitMQ and against the broker in the process: hello world, work
//! queues, publish/subscribe, routing, topics, RPC with a queue and with direct reply-to, and publisher confirms.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HostProcess, Shell, contenders, scratch, target_folder, workspace};

/// What each of the programs in tests/clients prints.
const PRINTED: &str = "\
hello: Hello World!
work: First. first
work: First. redelivered
work: Second.. first
work: Third... first
work: none left
subscribe: True
subscribe: info: Hello World!
subscribe: info: Hello World!
routing: warning from warning
routing: error from error
routing: the end
topics: kern.info from kern.info
topics: cron.critical from cron.critical
topics: kern.critical from kern.critical
topics: cron.critical.disk from cron.critical.disk
topics: the end
rpc: 55 True
direct reply-to: 55 True
confirms: 50
confirms: 312 NO_ROUTE
";

fn program(name: &str) -> PathBuf {
    workspace().join("tests/clients").join(name)
}

/// Runs a program with the URL of a broker.
async fn run(program: &[&Path], url: &str) -> Result<String> {
    let words = program.iter().map(|part| format!("'{}'", part.display()));
    let line = words.collect::<Vec<_>>().join(" ");
    let shell = Shell::within(&scratch("clients"));
    let shell = shell.with("NODE_PATH", contenders().join("node_modules"));
    let finished = shell
        .run(&format!("exec timeout 120 {line} '{url}'"))
        .await?;
    ensure!(finished.code == Some(0), "{line}: {finished:?}");
    Ok(finished.stdout)
}

/// Runs the program of a client against both brokers. Where `scripts/prepare-clients` has not been, it fails.
async fn serves_as_rabbitmq_does(program: &[&Path]) -> Result<()> {
    for part in program {
        ensure!(
            part.is_file(),
            "{} is not there: scripts/prepare-clients gets it",
            part.display()
        );
    }
    let rabbitmq = Broker::shared().await?.vhost("clients").await?;
    let printed = run(program, &rabbitmq.url()).await;
    assert_eq!(printed.context("RabbitMQ")?, PRINTED, "RabbitMQ");
    let mut process = HostProcess::launch_command(&["broker", "--port", "0"])?;
    let url = process.wait_for_output("amqp://").await?;
    let printed = run(program, url.trim()).await;
    assert_eq!(printed.context("hive-broker")?, PRINTED, "hive-broker");
    process.stop().await
}

#[tokio::test]
async fn the_tutorials_go_on_pika() -> Result<()> {
    let python = contenders().join("python/bin/python");
    serves_as_rabbitmq_does(&[&python, &program("pika_tutorials.py")]).await
}

#[tokio::test]
async fn the_tutorials_go_on_aio_pika() -> Result<()> {
    let python = contenders().join("python/bin/python");
    serves_as_rabbitmq_does(&[&python, &program("aio_pika_tutorials.py")]).await
}

#[tokio::test]
async fn the_tutorials_go_on_amqplib() -> Result<()> {
    let node = contenders().join("node");
    serves_as_rabbitmq_does(&[&node, &program("amqplib_tutorials.js")]).await
}

#[tokio::test]
async fn the_tutorials_go_on_amqp091_go() -> Result<()> {
    let tutorials = target_folder().join("clients/tutorials");
    serves_as_rabbitmq_does(&[&tutorials]).await
}
