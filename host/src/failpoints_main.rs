//! The program `hive-host` with its failpoints armed from the environment, for tests.

use hive_host::cli::{self, Exit};
use hive_lifecycle::failpoint;

fn main() -> Exit {
    failpoint::arm();
    cli::main()
}
