//! `wasi:cli/environment`: the variables that `allow.env` names, and no others.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p2::bindings::cli::environment::Host;

use super::reporting::Reporting;

/// Puts itself in front of wasmtime's own function, to say why an environment is empty.
pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: Reporting + WasiView + 'static,
{
    linker.instance("wasi:cli/environment@0.2.12")?.func_wrap(
        "get-environment",
        |mut store: StoreContextMut<'_, T>, (): ()| {
            let state = store.data_mut();
            let variables = Host::get_environment(&mut state.cli())?;
            if variables.is_empty() {
                state.telemetry().environment_is_empty();
            }
            Ok((variables,))
        },
    )
}
