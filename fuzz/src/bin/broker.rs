//! Any bytes from a client, to the broker in the process.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hive_fuzz::broker::check(input));
