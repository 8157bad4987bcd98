//! Any bytes from a broker, through the screen.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hive_fuzz::frames::check(input));
