//! Thousands of reconnects in a row: a host that lives for months holds no more than a new one.

use anyhow::{Context, Result};
use hive_tests::{HiveToml, Mark, Usage};

use crate::connection::network::{assert_consumes, assert_nothing_left, behind_proxy};

/// Both links of the host are broken each time, so each time counts twice.
const RECONNECTS: u64 = 10_000;
/// A shorter run, for whoever works on something else.
const FEWER: &str = "HIVE_TESTS_RECONNECTS";

/// Until then, buffers and pools grow to the size that they stay at.
const WARM_UP: u64 = 500;
const SAMPLE_EVERY: u64 = 10;

/// What may differ between two moments of a host that leaks nothing: a link more or less that is just
/// being opened, and what the allocator does not give back. A KiB lost with each reconnect is more.
const SLACK: Usage = Usage {
    threads: 1,
    descriptors: 2,
    resident_kib: 4096,
};

#[tokio::test]
async fn ten_thousand_reconnects_leave_threads_descriptors_and_memory_flat() -> Result<()> {
    let reconnects = match std::env::var(FEWER) {
        Ok(fewer) => fewer.parse().context(FEWER)?,
        Err(_) => RECONNECTS,
    };
    // Classic, since what is measured is not how fast a broker declares quorum queues.
    let toml = HiveToml::new()
        .queue("letters", r#"type = "classic""#)
        .queue("out", r#"type = "classic""#)
        .component("echo", "")
        .consumer("letters", "echo", "retry = { limit = 0 }")
        .connection(r#"reconnect = { first = "1ms", max = "5ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("reconnects", &toml).await?;
    let mut samples = Vec::new();
    let mut mark = Mark::START;
    let mut times = 0;
    while proxy.accepted() < reconnects {
        (_, mark) = host
            .wait_since(mark, "consumer.subscribed", &[("consumer", "letters")])
            .await?;
        times += 1;
        if proxy.accepted() > WARM_UP && times % SAMPLE_EVERY == 0 {
            samples.push(host.usage()?);
        }
        match times % 2 {
            0 => proxy.cut(),
            _ => proxy.reset(),
        }
    }
    assert_consumes(&vhost, "after").await?;
    let tenth = samples.len().div_ceil(10);
    let first = medians(&samples[..tenth]);
    let last = medians(&samples[samples.len() - tenth..]);
    let grown = Usage {
        threads: last.threads.saturating_sub(first.threads),
        descriptors: last.descriptors.saturating_sub(first.descriptors),
        resident_kib: last.resident_kib.saturating_sub(first.resident_kib),
    };
    let is_flat = grown.threads <= SLACK.threads
        && grown.descriptors <= SLACK.descriptors
        && grown.resident_kib <= SLACK.resident_kib;
    assert!(is_flat, "from {first:?} to {last:?}");
    assert_nothing_left(&vhost, &mut host).await
}

/// What a host held in the middle of these samples, each number by itself.
fn medians(samples: &[Usage]) -> Usage {
    let median = |number: fn(&Usage) -> u64| {
        let mut numbers: Vec<u64> = samples.iter().map(number).collect();
        numbers.sort_unstable();
        numbers[numbers.len() / 2]
    };
    Usage {
        threads: median(|usage| usage.threads),
        descriptors: median(|usage| usage.descriptors),
        resident_kib: median(|usage| usage.resident_kib),
    }
}
