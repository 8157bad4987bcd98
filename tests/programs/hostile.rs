//! Runs every hostile component beside a neighbour, and prints what the neighbour and the host's memory
//! had of it.

use anyhow::Result;
use clap::Parser;
use hive_tests::hostile;

/// Measures what hostile components do to their neighbour and their host.
#[derive(Debug, Parser)]
struct Options {
    /// Round trips of the neighbour alone
    #[arg(long, default_value_t = 1000)]
    trips: usize,
    /// Only those whose description contains this
    #[arg(default_value = "")]
    which: String,
}

#[expect(clippy::print_stdout, reason = "its table is what it is for")]
#[tokio::main]
async fn main() -> Result<()> {
    let Options { trips, which } = Options::parse();
    println!(
        "| the component | ends as | p99 alone | p99 beside it | ratio | trips | peak of the host |"
    );
    println!("|---|---|---|---|---|---|---|");
    for hostile in hostile::ALL.iter().filter(|it| it.name.contains(&which)) {
        let report = hostile.run(trips).await?;
        let (alone, beside) = (report.alone, report.beside);
        println!(
            "| {} | {} | {:.2} ms | {:.2} ms | {:.1} | {} | {} MiB |",
            hostile.name,
            hostile.reason,
            alone.as_secs_f64() * 1000.0,
            beside.as_secs_f64() * 1000.0,
            beside.as_secs_f64() / alone.as_secs_f64(),
            report.trips,
            report.peak_kib / 1024,
        );
        drop(report.host.quietly());
    }
    Ok(())
}
