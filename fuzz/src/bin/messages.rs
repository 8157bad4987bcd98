//! Any properties and headers, through everything that becomes of a message.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hive_fuzz::messages::check(input));
