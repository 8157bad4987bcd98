//! The program `hive-host`.

use hive_host::cli::{self, Exit};

fn main() -> Exit {
    cli::main()
}
