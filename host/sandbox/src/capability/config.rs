//! `wasi:config/store`: what `config = { … }` of the component says, and nothing else.

use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use crate::instance::state::State;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |state| WasiConfig::from(&*state.config))
}
