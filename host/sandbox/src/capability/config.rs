//! `wasi:config/store`: what `config = { … }` of the component says, and nothing else.

use wasmtime::component::Linker;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

/// An instance that has a configuration.
pub(crate) trait ConfigView: Send {
    fn config(&self) -> &WasiConfigVariables;
}

pub(super) fn link<T: ConfigView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |state| WasiConfig::from(state.config()))
}
