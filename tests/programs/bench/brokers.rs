//! The broker in the process beside a RabbitMQ: the same clients empty the same queue of each, in turns.

use anyhow::{Context, Result};
use hive_tests::{Broker, Version};

use super::bout::Bout;
use super::contender::Contender;
use super::report::{self, Table};
use super::ring::Ring;
use super::turns::turns;
use super::{Options, say, wanted};

/// The host, and the client that asks most of a broker.
const CONTENDERS: [Contender; 2] = [Contender::HiveReused, Contender::NativeBest];

pub(crate) async fn measure(options: &Options) -> Result<()> {
    let version = Version::of_run()?;
    let rabbitmq = Broker::private_of(version).await?;
    let in_process = Broker::in_memory().await?;
    say(&report::versions(version.release())?);
    let percent = options.messages.unwrap_or(100);
    let contenders: Vec<Contender> = CONTENDERS
        .into_iter()
        .filter(|one| wanted(one.name(), &options.only))
        .collect();
    for bout in Bout::of_the_aims(options.prefetch) {
        if !wanted(&bout.to_string(), &options.bout) {
            continue;
        }
        let mut rings = [
            (
                Ring::enter(&rabbitmq, bout, percent).await?,
                Table::default(),
            ),
            (
                Ring::enter(&in_process, bout, percent).await?,
                Table::default(),
            ),
        ];
        for round in 0..options.rounds.unwrap_or(5) {
            for contender in turns(&contenders, round) {
                for (ring, table) in &mut rings {
                    let taken = ring.run(contender).await;
                    table.add(contender, taken.with_context(|| contender.name())?);
                }
            }
        }
        let [rabbitmq, in_process] = rings.map(|(_, table)| table);
        say(&report::brokers(&bout, &rabbitmq, &in_process));
    }
    Ok(())
}
