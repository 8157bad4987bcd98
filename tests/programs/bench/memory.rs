//! Large bodies that wait as a host starts: what they take of its memory, with everything as it is by default.

use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost};
use tokio::time::{Instant, sleep};

use super::contender::acked;
use super::say;

const BODIES: u32 = 300;
const LENGTH: usize = 16 << 20;
const QUEUE: &str = "letters";

/// So many bodies are in the memory of the bench at once.
const AT_ONCE: u32 = 10;

/// `host.memory_in_flight` by default.
const BUDGET_KIB: u64 = 256 << 10;

/// How long allocators get to settle.
const SETTLED: Duration = Duration::from_secs(2);

/// A host that takes longer stands still.
const LONGEST: Duration = Duration::from_secs(600);

pub(crate) async fn measure(broker: &Broker) -> Result<()> {
    let vhost = broker.vhost("memory").await?;
    let toml = HiveToml::one(QUEUE, "ack", "");
    let mut host = HostProcess::run(&vhost, &toml).await?.quietly();
    sleep(SETTLED).await;
    let idle = host.usage()?.resident_kib;
    host.stop().await?;

    fill(&vhost).await?;
    let begun = Instant::now();
    let mut host = HostProcess::run(&vhost, &toml).await?.quietly();
    while acked(&host).await? < BODIES {
        ensure!(begun.elapsed() < LONGEST, "not every message is handled");
        sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    let peak = host.peak_kib()?;
    host.stop().await?;
    let beyond = i64::try_from(peak)? - i64::try_from(idle + BUDGET_KIB)?;
    say(&format!(
        "{BODIES} bodies of {} MiB wait as the host starts: handled in {:.1} s; idle {} MiB, peak {} MiB, which is \
         idle + {} MiB (memory_in_flight) {beyond:+} KiB",
        LENGTH >> 20,
        took.as_secs_f64(),
        idle / 1024,
        peak / 1024,
        BUDGET_KIB / 1024,
    ));
    Ok(())
}

async fn fill(vhost: &Vhost) -> Result<()> {
    for _ in 0..BODIES / AT_ONCE {
        let bodies = (0..AT_ONCE).map(|_| Message::new(vec![b'x'; LENGTH]));
        vhost.publish_all("", QUEUE, bodies).await?;
    }
    Ok(())
}
