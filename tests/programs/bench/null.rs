//! Clients on a broker that stores nothing: their own limits, where the broker hides none of them.
//!
//! Throughput is measured by that broker, from its first delivery to the last ack. Times are measured at a pace, from
//! each delivery to its ack.

mod bare;
mod broker;
mod frames;

use anyhow::{Context, Result};

pub(crate) use self::bare::Bare;
pub(crate) use self::broker::NullBroker;
use self::broker::Outcome;
pub(crate) use self::broker::Started;
use super::bout::Bout;
use super::contender::Contender;
use super::report::{self, Table};
use super::ring::{Taken, mib};
use super::turns::turns;
use super::work::Work;
use super::{Options, say, wanted};

/// Who takes part.
const CONTENDERS: [Contender; 5] = [
    Contender::Bare,
    Contender::NativeBest,
    Contender::HiveReused,
    Contender::HiveFresh,
    Contender::Amqplib,
];

/// How long a client is watched at half of the full rate, in seconds.
const AT_HALF: f64 = 5.0;
/// How long at a slow pace, in seconds, and that pace in messages a second.
const AT_SLOW: f64 = 30.0;
const SLOW: f64 = 1.0;
/// A pace that no client has trouble with, if it was not measured before: messages a second.
const LEAST_PACE: f64 = 1000.0;

pub(crate) fn measure(options: &Options) -> Result<()> {
    say(&report::machine());
    let contenders: Vec<Contender> = CONTENDERS
        .into_iter()
        .chain(options.other())
        .filter(|one| one.is_there() && wanted(one.name(), &options.only))
        .collect();
    let percent = options.messages.unwrap_or(100);
    let rounds = options.rounds.unwrap_or(5);
    for work in [Work::Ack, Work::Publish] {
        let bout = Bout {
            work,
            queue: "null",
            prefetch: options.prefetch,
            ..Bout::BASE
        };
        if !wanted(&bout.to_string(), &options.bout) {
            continue;
        }
        let mut table = Table::default();
        for round in 0..rounds {
            for contender in turns(&contenders, round) {
                let taken = as_fast_as_possible(contender, &bout, percent);
                table.add(contender, taken.with_context(|| contender.name())?);
            }
        }
        say(&table.text(&bout));
        let slowest = contenders
            .iter()
            .filter_map(|one| table.median(*one))
            .map(|taken| taken.rate)
            .fold(f64::INFINITY, f64::min);
        let half = (slowest / 2.0).max(LEAST_PACE).round();
        for (pace, seconds) in [(half, AT_HALF), (SLOW, AT_SLOW)] {
            let mut rows = Vec::new();
            for &contender in &contenders {
                let times = at_a_pace(contender, &bout, pace, seconds);
                rows.push((contender, times.with_context(|| contender.name())?));
            }
            say(&report::times(&bout, pace, &rows));
        }
    }
    Ok(())
}

/// The port in the URL of a null broker.
pub(crate) fn port_of(url: &str) -> Result<&str> {
    let (_, rest) = url.rsplit_once(':').context("the URL has a port")?;
    let (port, _) = rest.split_once('/').context("the URL has a path")?;
    Ok(port)
}

fn as_fast_as_possible(contender: Contender, bout: &Bout, percent: u32) -> Result<Taken> {
    // As many as keep the fastest busy for some seconds.
    let messages = bout.messages(contender, percent) * 4;
    let mut broker = Started::launch(messages.into(), bout.size, None)?;
    let running = contender.start(&broker.url, &of_a_type(bout))?;
    broker.wait_for_begin()?;
    let (before, broker_before) = (running.processor_time()?, broker.processor_time()?);
    let outcome = broker.wait_for_end()?;
    let per_message = |from: std::time::Duration, to: std::time::Duration| {
        (to - from).as_secs_f64() * 1e6 / f64::from(messages)
    };
    Ok(Taken {
        rate: f64::from(messages) / outcome.seconds,
        client: per_message(before, running.processor_time()?),
        broker: per_message(broker_before, broker.processor_time()?),
        memory: mib(running.peak_kib()?)?,
    })
}

fn at_a_pace(contender: Contender, bout: &Bout, pace: f64, seconds: f64) -> Result<Vec<u32>> {
    let messages = (pace * seconds).round();
    let mut broker = Started::launch(messages as u64, bout.size, Some(pace))?;
    let _running = contender.start(&broker.url, &of_a_type(bout))?;
    broker.wait_for_begin()?;
    let Outcome { micros, .. } = broker.wait_for_end()?;
    Ok(micros)
}

/// A host declares a queue of a type that RabbitMQ has.
pub(crate) fn of_a_type(bout: &Bout) -> Bout {
    Bout {
        queue: "classic",
        ..*bout
    }
}
