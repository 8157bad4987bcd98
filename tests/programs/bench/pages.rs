//! What open admin pages cost a host that is busy: one process, watched by turns with pages open and without.
//!
//! The turns are in pairs whose order alternates, so that a machine that becomes slower or faster affects both sides.
//! The null broker has more deliveries than anybody takes, so the host is never without work.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::bout::Bout;
use super::contender::{Contender, Running};
use super::report::{self, median};
use super::work::QUEUE;
use super::{null, say};

/// How long the host is watched at a time.
const TURN: Duration = Duration::from_secs(3);
/// How long it has before, so that pages have opened and the first turn is as warm as the last.
const BEFORE: Duration = Duration::from_millis(500);
/// Pairs of turns.
const PAIRS: usize = 20;
/// More than a host takes while it is watched.
const DELIVERIES: u64 = 1 << 40;

/// What a page asks for beside the events that each page listens to.
#[derive(Debug, Clone, Copy)]
enum View {
    Overview,
    /// Deliveries each second, series each five.
    Consumer,
    /// Deliveries as they are settled.
    Live,
}

impl View {
    /// Of five readers, three look at the overview.
    const IN_TURN: [Self; 5] = [
        Self::Overview,
        Self::Consumer,
        Self::Overview,
        Self::Live,
        Self::Overview,
    ];
}

/// What was seen in one turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// Messages a second.
    rate: f64,
    /// Microseconds of the host's processor time for each message.
    client: f64,
}

pub(crate) async fn measure(pages: usize, rounds: Option<usize>, prefetch: u16) -> Result<()> {
    say(&report::machine());
    let bout = Bout {
        queue: "null",
        prefetch,
        ..Bout::BASE
    };
    let mut broker = null::Started::launch(DELIVERIES, bout.size, None)?;
    let host = Contender::HiveReused.start(&broker.url, &null::of_a_type(&bout))?;
    broker.wait_for_begin()?;
    let port = host.admin_port().await?;
    let pairs = rounds.unwrap_or(PAIRS);
    say(&format!(
        "{pages} pages, {pairs} pairs of turns of {TURN:?}; {bout}, on a broker that stores nothing"
    ));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    sleep(TURN).await;
    for pair in 0..pairs {
        for is_open in [pair % 2 == 0, pair % 2 == 1] {
            let opened = if is_open {
                open(port, pages)
            } else {
                JoinSet::new()
            };
            let turn = watch(&host, opened).await?;
            if is_open { &mut with } else { &mut without }.push(turn);
        }
    }
    say(&table(&without, &with)?);
    Ok(())
}

/// Opens so many pages. They are closed when the set is dropped.
fn open(port: u16, pages: usize) -> JoinSet<Result<()>> {
    let mut set = JoinSet::new();
    for (_, view) in (0..pages).zip(View::IN_TURN.into_iter().cycle()) {
        set.spawn(async move { listen(port, "/v1/events").await });
        match view {
            View::Overview => {}
            View::Consumer => {
                for (path, period) in [("deliveries", 1), ("series", 5)] {
                    let path = format!("/v1/consumers/{QUEUE}/{path}");
                    set.spawn(ask_each(port, path, Duration::from_secs(period)));
                }
            }
            View::Live => {
                set.spawn(async move { listen(port, "/v1/deliveries").await });
            }
        }
    }
    set
}

/// Watches the host for one turn. A page that is refused or loses its host fails the bench.
async fn watch(host: &Running, mut pages: JoinSet<Result<()>>) -> Result<Turn> {
    let turn = async {
        sleep(BEFORE).await;
        let (begun, handled, time) = moment(host).await?;
        sleep(TURN).await;
        let (ended, handled_then, time_then) = moment(host).await?;
        let messages = f64::from(handled_then - handled);
        anyhow::ensure!(messages > 0.0, "the host stands still");
        Ok(Turn {
            rate: messages / (ended - begun).as_secs_f64(),
            client: (time_then - time).as_secs_f64() * 1e6 / messages,
        })
    };
    tokio::select! {
        turn = turn => turn,
        Some(page) = pages.join_next() => {
            page??;
            bail!("a page has ended");
        }
    }
}

async fn moment(host: &Running) -> Result<(Instant, u32, Duration)> {
    let handled = host.handled().await?;
    Ok((Instant::now(), handled, host.processor_time()?))
}

/// Reads what a stream sends, for as long as it lasts.
async fn listen(port: u16, path: &str) -> Result<()> {
    let mut stream = request(port, path, "keep-alive").await?;
    let mut room = vec![0; 64 << 10];
    let first = stream.read(&mut room).await?;
    let status = room.get(..first).unwrap_or_default();
    anyhow::ensure!(status.starts_with(b"HTTP/1.1 200"), "{path} is refused");
    while stream.read(&mut room).await? > 0 {}
    bail!("{path} has ended")
}

/// Asks again and again.
async fn ask_each(port: u16, path: String, period: Duration) -> Result<()> {
    let mut period = interval(period);
    let mut answer = Vec::new();
    loop {
        period.tick().await;
        answer.clear();
        let mut stream = request(port, &path, "close").await?;
        stream.read_to_end(&mut answer).await?;
        anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "{path} is refused");
    }
}

async fn request(port: u16, path: &str, connection: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

fn table(without: &[Turn], with: &[Turn]) -> Result<String> {
    let rate = row(without, with, |turn| turn.rate)?;
    let client = row(without, with, |turn| turn.client)?;
    Ok(format!(
        "\n|  | messages/s | host, us/message |\n|---|---|---|\n\
         | without pages | {:.0} | {:.2} |\n| with pages | {:.0} | {:.2} |\n\
         | median of the ratios of the pairs | {:.3} | {:.3} |\n",
        rate[0], client[0], rate[1], client[1], rate[2], client[2],
    ))
}

/// The medians without pages and with them, and the median of the ratios.
fn row(without: &[Turn], with: &[Turn], value: fn(&Turn) -> f64) -> Result<[f64; 3]> {
    let of = |turns: &[Turn]| median(turns.iter().map(value)).context("there was a turn");
    let pairs = with.iter().zip(without);
    let ratio = median(pairs.map(|(with, without)| value(with) / value(without)));
    Ok([of(without)?, of(with)?, ratio.context("there was a pair")?])
}
