//! Stub for now.
mod harness;
mod house;
