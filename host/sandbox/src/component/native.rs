//! The two calls of wasmtime for native code that it cannot check: what they need is guaranteed here, or by the operator.

#![expect(
    unsafe_code,
    reason = "native code is run as it stands in the file, and instructions are chosen for another processor"
)]

use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Native code that was compiled ahead, ready to be linked.
///
/// `code` must come from a file that the operator named and that nobody but the operator can change
/// (`trust.rs`): it runs outside of the sandbox.
pub(super) fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime wrote these bytes, or the operator, or root, has written other ones in their place on purpose:
    // the only caller has checked the owner and the rights of the file, and its checksum. These are the bytes that it
    // checked, whatever is in the file by now. wasmtime itself checks that they are for this engine and this processor.
    unsafe { Component::deserialize(engine, code) }
}

/// Has an engine compile for all processors of this level of x86-64, whatever the processor of this machine.
pub(super) fn set_level(config: &mut Config, level: &str) {
    // SAFETY: the levels of `cpu.rs` are presets of cranelift that choose instructions and nothing else. Code is not run
    // by the engine that compiled it: the one that loads it compares these instructions with its processor first.
    unsafe { config.cranelift_flag_enable(level) };
}
