//! hive.toml: as written (`file`), as meant ([`plan`]), and every fault on the way between.

pub mod plan;
