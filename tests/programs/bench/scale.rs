//! Many queues with a consumer each on one host: started, fed one message each, drained, reloaded, swapped under, stopped.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HostProcess, Message, Vhost, guest, scratch};
use tokio::time::{Instant, sleep};

use super::contender::acked;
use super::say;

/// Consumers in one included file.
const IN_A_FILE: u32 = 1000;

/// How long allocators get to settle.
const SETTLED: Duration = Duration::from_secs(3);

/// A host that takes longer to start stands still.
const LONGEST: Duration = Duration::from_secs(1200);

pub(crate) async fn measure(broker: &Broker, queues: u32) -> Result<()> {
    let few = measure_one(broker, 1).await?;
    let many = measure_one(broker, queues).await?;
    let more = many.resident_kib.saturating_sub(few.resident_kib);
    let of_each = f64::from(u32::try_from(more)?) / f64::from(queues.max(2) - 1);
    say(&format!(
        "memory for each consumer: {of_each:.1} KiB (a host with one has {} KiB)",
        few.resident_kib
    ));
    Ok(())
}

struct Seen {
    resident_kib: u64,
}

async fn measure_one(broker: &Broker, queues: u32) -> Result<Seen> {
    let vhost = broker.vhost("scale").await?;
    let file = configuration(&vhost, queues)?;
    let begun = Instant::now();
    let mut host = HostProcess::launch_file(&file, &[])?.quietly();
    while host.count_events("consumer.subscribed", &[]) < queues as usize {
        ensure!(begun.elapsed() < LONGEST, "not every queue is consumed");
        sleep(Duration::from_millis(50)).await;
    }
    let started = begun.elapsed();
    sleep(SETTLED).await;
    let usage = host.usage()?;
    let begun = Instant::now();
    feed(&vhost, queues).await?;
    let fed = begun.elapsed();
    while acked(&host).await? < queues {
        ensure!(begun.elapsed() < LONGEST, "not every message is handled");
        sleep(Duration::from_millis(50)).await;
    }
    let drained = begun.elapsed();
    let after = host.usage()?;
    let reloaded = reload(&host, &file).await?;
    let swapped = swap(&host, &file).await?;
    sleep(Duration::from_secs(5)).await;
    let overview = broker.management().get("/overview")?;
    let totals = &overview["object_totals"];
    let begun = Instant::now();
    host.stop().await?;
    say(&format!(
        "\n{queues} queues with a consumer each: consuming after {:.1} s; fed one message each in {:.1} s, \
         the last one handled after {:.1} s; stopped in {:.1} s\n\
         a reload that changes one of them: {:.2} s; a swap of the component that they share: {:.2} s\n\
         resident: {} KiB consuming, {} KiB after that; threads {}, descriptors {}; the broker counts {} \
         connections and {} channels",
        started.as_secs_f64(),
        fed.as_secs_f64(),
        drained.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        reloaded.as_secs_f64(),
        swapped.as_secs_f64(),
        usage.resident_kib,
        after.resident_kib,
        after.threads,
        after.descriptors,
        totals["connections"],
        totals["channels"],
    ));
    Ok(Seen {
        resident_kib: usage.resident_kib,
    })
}

/// How long `hive-host reload` takes with another prefetch of the first consumer.
async fn reload(host: &HostProcess, file: &Path) -> Result<Duration> {
    let first = file.with_file_name("consumers.d").join("00000.toml");
    let text = std::fs::read_to_string(&first)?;
    std::fs::write(
        &first,
        text.replacen("prefetch = 10\n", "prefetch = 11\n", 1),
    )?;
    let begun = Instant::now();
    let reloaded = host.told("reload", file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    Ok(begun.elapsed())
}

/// How long `hive-host swap` takes to the same code with a custom section behind it (WebAssembly core specification, 5.5.3).
async fn swap(host: &HostProcess, file: &Path) -> Result<Duration> {
    let other = file.with_file_name("other.wasm");
    let mut code = std::fs::read(guest("ack"))?;
    code.extend_from_slice(&[0, 5, 4, b'n', b'e', b'x', b't']);
    std::fs::write(&other, code)?;
    let other = other.to_string_lossy();
    let begun = Instant::now();
    let swapped = host.told("swap", file, &["ack", &other]).await?;
    ensure!(swapped.code == Some(0), "{swapped:?}");
    Ok(begun.elapsed())
}

async fn feed(vhost: &Vhost, queues: u32) -> Result<()> {
    let messages = (0..queues).map(|number| (name(number), Message::new("{}")));
    vhost.publish_each("", messages).await
}

fn name(number: u32) -> String {
    format!("scale-{number:05}")
}

/// A hive.toml that includes a file for each thousand consumers.
fn configuration(vhost: &Vhost, queues: u32) -> Result<PathBuf> {
    let folder = scratch("scale");
    let included = folder.join("consumers.d");
    std::fs::create_dir_all(&included)?;
    for first in (0..queues).step_by(IN_A_FILE as usize) {
        let mut text = String::new();
        for number in first..queues.min(first + IN_A_FILE) {
            let name = name(number);
            write!(
                text,
                "[queues.{name}]\ntype = \"classic\"\n\
                 [consumers.{name}]\nqueue = \"{name}\"\ncomponent = \"ack\"\n\
                 prefetch = 10\nretry = {{ limit = 0, dead_letter = \"scale.dead\" }}\n"
            )?;
        }
        std::fs::write(included.join(format!("{first:05}.toml")), text)?;
    }
    let file = folder.join("hive.toml");
    std::fs::write(
        &file,
        format!(
            "include = [\"consumers.d/*.toml\"]\n\
             [host]\nname = \"scale\"\nadmin = \"127.0.0.1:0\"\nlog_format = \"json\"\n\
             [connections.main]\nurl = \"{}\"\n\
             [components.ack]\npath = \"{}\"\n",
            vhost.url(),
            guest("ack").display()
        ),
    )?;
    Ok(file)
}
