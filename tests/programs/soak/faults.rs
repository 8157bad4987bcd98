//! The faults. Each is real: processes are killed and links are cut.

mod of_a_cluster;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use hive_tests::{Direction, Proxy};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use self::of_a_cluster::ClusterFault;
use crate::Stage;
use crate::site::Site;
use crate::traffic::QUEUES;

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every connection is closed as by a peer that ends.
    Cut,
    /// Every connection is reset.
    Reset,
    /// For a while every connection breaks in the middle of a frame.
    BreakFrames { after: u64, held: Duration },
    /// Bytes of one direction vanish while the connection looks well.
    BlackHole { to_broker: bool, held: Duration },
    /// The broker's port refuses connections.
    Refuse { held: Duration },
    /// The broker's port accepts connections and never answers.
    Silence { held: Duration },
    /// The link is slow.
    Latency { held: Duration },
    /// The management page closes every connection of the host.
    CloseConnections,
    /// `kill -9` of the broker.
    BrokerKilled,
    /// The broker is stopped and started by its operator.
    BrokerRestarted,
    /// The broker stands still.
    BrokerFrozen { held: Duration },
    /// The broker has no memory left and takes no publications.
    MemoryAlarm { held: Duration },
    /// `kill -9` of the host.
    HostKilled,
    /// The host is stopped and started by its operator.
    HostRestarted,
    /// The host reads a hive.toml in which every consumer has another prefetch, so that each
    /// subscribes again.
    HostReloaded,
    /// Every consumer is paused by hand, and resumed.
    ConsumersPaused { held: Duration },
    /// Nodes of a cluster go or lose one another.
    Cluster(ClusterFault),
}

impl Fault {
    /// As many faults as asked for, each kind about as often; of those kinds alone whose name holds
    /// `only`, if that is given. On a cluster, the faults of its nodes replace those of the one broker.
    pub(crate) fn schedule(
        count: u32,
        only: Option<&str>,
        is_cluster: bool,
        rng: &mut StdRng,
    ) -> Result<Vec<Self>> {
        let mut schedule = Vec::new();
        while schedule.len() < count as usize {
            let mut kinds = Self::one_of_each(rng).to_vec();
            if is_cluster {
                kinds.retain(|kind| !kind.is_of_one_broker());
                kinds.extend(ClusterFault::one_of_each(rng).map(Self::Cluster));
            }
            kinds.retain(|kind| only.is_none_or(|only| kind.name().contains(only)));
            ensure!(
                !kinds.is_empty(),
                "no kind of fault is called {:?}",
                only.unwrap_or_default()
            );
            let rest = count as usize - schedule.len();
            schedule.extend(kinds.choose_multiple(rng, rest).cloned());
        }
        Ok(schedule)
    }

    fn one_of_each(rng: &mut StdRng) -> [Self; 17] {
        let mut held = |from: u64, to: u64| Duration::from_millis(rng.random_range(from..to));
        let (frames, hole_in, hole_out) = (held(500, 2000), held(2000, 7000), held(2000, 7000));
        let (refuse, silence, latency) = (held(500, 3000), held(500, 3000), held(500, 2000));
        let (frozen, alarm, paused) = (held(500, 7000), held(500, 3000), held(100, 2000));
        [
            Self::Cut,
            Self::Reset,
            Self::BreakFrames {
                after: rng.random_range(1_000..200_000),
                held: frames,
            },
            Self::BlackHole {
                to_broker: false,
                held: hole_in,
            },
            Self::BlackHole {
                to_broker: true,
                held: hole_out,
            },
            Self::Refuse { held: refuse },
            Self::Silence { held: silence },
            Self::Latency { held: latency },
            Self::CloseConnections,
            Self::BrokerKilled,
            Self::BrokerRestarted,
            Self::BrokerFrozen { held: frozen },
            Self::MemoryAlarm { held: alarm },
            Self::HostKilled,
            Self::HostRestarted,
            Self::HostReloaded,
            Self::ConsumersPaused { held: paused },
        ]
    }

    fn is_of_one_broker(&self) -> bool {
        matches!(
            self,
            Self::BrokerKilled | Self::BrokerRestarted | Self::BrokerFrozen { .. }
        )
    }

    /// The kind of fault.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Cut => "link cut",
            Self::Reset => "link reset",
            Self::BreakFrames { .. } => "link reset in mid-frame",
            Self::BlackHole {
                to_broker: false, ..
            } => "black hole to the host",
            Self::BlackHole {
                to_broker: true, ..
            } => "black hole to the broker",
            Self::Refuse { .. } => "connections refused",
            Self::Silence { .. } => "silent port",
            Self::Latency { .. } => "slow link",
            Self::CloseConnections => "connections closed by management",
            Self::BrokerKilled => "broker killed",
            Self::BrokerRestarted => "broker restarted",
            Self::BrokerFrozen { .. } => "broker frozen",
            Self::MemoryAlarm { .. } => "memory alarm",
            Self::HostKilled => "host killed",
            Self::HostRestarted => "host restarted",
            Self::HostReloaded => "host reloaded",
            Self::ConsumersPaused { .. } => "consumers paused",
            Self::Cluster(fault) => fault.name(),
        }
    }

    /// Lets it happen, and gives the moment from which the host could work again.
    pub(crate) async fn happen(&self, stage: &mut Stage) -> Result<Instant> {
        let Stage { site, links, .. } = &*stage;
        match self {
            Self::Cut => links.iter().for_each(Proxy::cut),
            Self::Reset => links.iter().for_each(Proxy::reset),
            Self::BreakFrames { after, held } => {
                links.iter().for_each(|link| link.reset_after(*after));
                sleep(*held).await;
                links.iter().for_each(Proxy::pass);
            }
            Self::BlackHole { to_broker, held } => {
                let direction = match to_broker {
                    true => Direction::ToBroker,
                    false => Direction::ToClient,
                };
                links.iter().for_each(|link| link.black_hole(direction));
                sleep(*held).await;
                links.iter().for_each(Proxy::pass);
            }
            Self::Refuse { held } => {
                links.iter().for_each(Proxy::refuse);
                links.iter().for_each(Proxy::cut);
                sleep(*held).await;
                links.iter().for_each(Proxy::pass);
            }
            Self::Silence { held } => {
                links.iter().for_each(Proxy::silent);
                links.iter().for_each(Proxy::cut);
                sleep(*held).await;
                links.iter().for_each(Proxy::pass);
            }
            Self::Latency { held } => {
                let latency = Duration::from_millis(100);
                links.iter().for_each(|link| link.latency(latency));
                sleep(*held).await;
                links.iter().for_each(Proxy::pass);
            }
            Self::CloseConnections => {
                stage.vhost.close_host_connections()?;
            }
            Self::BrokerKilled => {
                site.first().kill9().await?;
                return site.first().restart().await;
            }
            Self::BrokerRestarted => {
                site.first().stop().await?;
                return site.first().restart().await;
            }
            Self::BrokerFrozen { held } => {
                site.first().sigstop();
                sleep(*held).await;
                site.first().sigcont();
            }
            Self::MemoryAlarm { held } => {
                let set = |mark| {
                    let set = ["set_vm_memory_high_watermark", mark];
                    site.first().rabbitmqctl(&set)
                };
                set("0.0001")?;
                sleep(*held).await;
                set("0.4")?;
            }
            Self::HostKilled => {
                stage.host.kill9()?;
                stage.start_host().await?;
            }
            Self::HostRestarted => {
                stage.host.stop().await?;
                stage.start_host().await?;
            }
            Self::HostReloaded => stage.reload_host().await?,
            Self::ConsumersPaused { held } => {
                tell_consumers(stage, "pause").await?;
                sleep(*held).await;
                tell_consumers(stage, "resume").await?;
            }
            Self::Cluster(fault) => {
                let Site::Three(cluster) = site else {
                    bail!("{self} needs a cluster");
                };
                fault.happen(cluster, &stage.vhost).await?;
            }
        }
        Ok(Instant::now())
    }
}

async fn tell_consumers(stage: &Stage, verb: &str) -> Result<()> {
    for (queue, _) in QUEUES {
        stage
            .command(&format!("/v1/consumers/{queue}/{verb}"))
            .await?;
    }
    Ok(())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::BreakFrames { held, .. }
            | Self::BlackHole { held, .. }
            | Self::Refuse { held }
            | Self::Silence { held }
            | Self::Latency { held }
            | Self::BrokerFrozen { held }
            | Self::ConsumersPaused { held }
            | Self::MemoryAlarm { held } => write!(f, ", {:.1} s", held.as_secs_f64()),
            Self::Cluster(fault) => match fault.held() {
                Some(held) => write!(f, ", {:.1} s", held.as_secs_f64()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
