//! Writes docs/brokers.md again, after reading the output of test runs: `matrix 4.3=FILE`.

use std::path::Path;

use anyhow::{Context, Result};
use hive_tests::matrix::{Matrix, Results};

fn main() -> Result<()> {
    let matrix = Matrix::read()?;
    let mut results = Results::read()?;
    for argument in std::env::args().skip(1) {
        let (version, output) = argument
            .split_once('=')
            .with_context(|| format!("`{argument}` is not VERSION=FILE"))?;
        results.take_in(version.parse()?, Path::new(output))?;
    }
    results.record(&matrix)
}
