//! The cost of a host that has little to do: its memory, and the time until its first delivery.

use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, HostProcess, example, example_component, of_files_kib};
use tokio::time::{Instant, sleep};

use super::bout::Bout;
use super::contender::hive_toml;
use super::report::median;
use super::ring::{look, mib};
use super::say;
use super::work::{OUT, QUEUE, Work, message};

/// How long allocators get to settle.
const SETTLED: Duration = Duration::from_secs(2);

/// Starts of a host, of which the first one compiles its component.
const STARTS: usize = 8;

pub(crate) async fn measure(broker: &Broker) -> Result<()> {
    let (resident, of_files) = idle(broker).await?;
    say(&format!(
        "memory of an idle host with the example orders: {:.1} MiB, of which {:.1} MiB are pages of files (the executable)",
        mib(resident)?,
        mib(of_files)?,
    ));
    let first = first_delivery(broker).await?;
    say(&format!(
        "from `run` to the publication of the first delivery, warm cache: {first:.0} ms"
    ));
    Ok(())
}

/// KiB that are resident, and how many of them are pages of files.
async fn idle(broker: &Broker) -> Result<(u64, u64)> {
    example_component("orders");
    let vhost = broker.vhost("idle").await?;
    let url = vhost.url();
    let file = example("orders").join("hive.toml");
    let mut host = HostProcess::launch_file(&file, &[("RABBITMQ_URL", &url)])?.quietly();
    host.wait_for_start().await?;
    sleep(SETTLED).await;
    let memory = (host.usage()?.resident_kib, of_files_kib(host.id())?);
    host.stop().await?;
    Ok(memory)
}

/// Milliseconds from the start of the process until what its component publishes is in its queue.
async fn first_delivery(broker: &Broker) -> Result<f64> {
    let vhost = broker.vhost("first").await?;
    let bout = Bout {
        work: Work::Publish,
        concurrency: 1,
        ..Bout::BASE
    };
    for queue in [QUEUE, OUT] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let text = hive_toml(&bout, "reuse").text(&vhost);
    let channel = vhost.channel().await?;
    let mut times = Vec::new();
    for start in 0..STARTS {
        let handled = u32::try_from(start)?;
        vhost.publish("", QUEUE, message(0, bout.size)).await?;
        let begun = Instant::now();
        let mut host = HostProcess::launch(&text)?.quietly();
        while look(&channel, OUT).await? == handled {
            sleep(Duration::from_millis(1)).await;
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        host.stop().await?;
    }
    median(times.into_iter().skip(1)).context("there were starts")
}
