//! What a flood of one tenant costs the others: how long their messages take, with and without a limit by key.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message};
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};

use super::say;

/// Tenants beside the one that floods.
const OTHERS: usize = 99;
/// Messages of each of the others.
const EACH: usize = 10;
/// One message of the others each so often.
const PACE: Duration = Duration::from_millis(5);
/// Milliseconds that the component takes.
const HANDLING: &str = "10";

const LIMITED: &str = r#"concurrency_by = { key = "header:tenant", limit = 2 }"#;

/// The time from the publication of a message to that of its result, in milliseconds.
struct Taken {
    median: f64,
    p99: f64,
}

pub(crate) async fn measure(broker: &Broker, flood: usize, rounds: usize) -> Result<()> {
    say(&format!(
        "{OTHERS} tenants, a message each {PACE:?} that takes {HANDLING} ms, 8 workers; one more tenant publishes \
         {flood} at once"
    ));
    for round in 1..=rounds {
        let alone = run(broker, LIMITED, 0).await?;
        let limited = run(broker, LIMITED, flood).await?;
        let unlimited = run(broker, "", flood).await?;
        let rows = [
            ("without a flood", &alone),
            ("a flood, two of a tenant at once", &limited),
            ("a flood, no limit by key", &unlimited),
        ];
        for (name, taken) in rows {
            say(&format!(
                "round {round}: {name:34} median {:7.1} ms  p99 {:7.1} ms  {:5.2} of the p99 without a flood",
                taken.median,
                taken.p99,
                taken.p99 / alone.p99
            ));
        }
    }
    Ok(())
}

async fn run(broker: &Broker, keys: &str, flood: usize) -> Result<Taken> {
    let vhost = broker.vhost("fairness").await?;
    let keys = format!("concurrency = 8\n{keys}");
    let toml = HiveToml::one("letters", "slow", &keys).queue("out", "");
    let mut host = HostProcess::run(&vhost, &toml).await?.quietly();
    let message = |tenant: &str| Message::new(HANDLING).text_header("tenant", tenant);
    // The instances are made.
    let warm = (0..64).map(|number| message(&format!("warm-{number}")));
    vhost.publish_all("", "letters", warm).await?;
    vhost.take("out", 64).await?;
    let sent = Mutex::new(Vec::new());
    let publishing = async {
        let all = (0..flood).map(|_| message("flood"));
        vhost.publish_all("", "letters", all).await?;
        let mut pace = interval(PACE);
        for number in 0..OTHERS * EACH {
            pace.tick().await;
            let tenant = format!("tenant-{}", number % OTHERS);
            let numbered = message(&tenant).header("number", i64::try_from(number)?);
            sent.lock().await.push(Instant::now());
            vhost.publish("", "letters", numbered).await?;
        }
        anyhow::Ok(())
    };
    let mut came = vec![None; OTHERS * EACH];
    let mut missing = came.len();
    let taking = vhost.take_until("out", |message| {
        let number = message.number_of("number");
        if let Some(number) = number.and_then(|number| usize::try_from(number).ok()) {
            came[number] = Some(Instant::now());
            missing -= 1;
        }
        missing == 0
    });
    tokio::try_join!(publishing, taking)?;
    host.kill9()?;
    let sent = sent.into_inner();
    let taken = sent.iter().zip(came);
    let taken = taken.filter_map(|(sent, came)| Some((came? - *sent).as_secs_f64() * 1000.0));
    let mut taken: Vec<f64> = taken.collect();
    taken.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)];
    Ok(Taken {
        median: at(50),
        p99: at(99),
    })
}
