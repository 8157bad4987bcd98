//! Writes docs/brokers.md and the counts in docs/broker.md again, after reading the output of test runs: `matrix 4.3=FILE`.

use std::path::Path;

use anyhow::{Context, Result};
use hive_tests::Version;
use hive_tests::matrix::{Counts, Matrix, Results};

#[expect(clippy::print_stderr, reason = "a person runs it")]
fn main() -> Result<()> {
    let matrix = Matrix::read()?;
    let mut results = Results::read()?;
    let mut counts = Counts::read()?;
    for argument in std::env::args().skip(1) {
        let (broker, output) = argument
            .split_once('=')
            .with_context(|| format!("`{argument}` is not BROKER=FILE"))?;
        let output = Path::new(output);
        match counts.take_in(broker, output)? {
            0 => {}
            missing => {
                eprintln!("{broker}: {missing} scenarios are not in this run, so its count stays")
            }
        }
        // The matrix is of the RabbitMQs.
        if let Ok(version) = broker.parse::<Version>() {
            results.take_in(version, output)?;
        }
    }
    results.record(&matrix)?;
    counts.record()
}
