//! Stub.
mod harness;
