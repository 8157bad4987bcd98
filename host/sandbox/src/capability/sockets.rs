//! `wasi:sockets`: denied, and no key grants it. A component reaches the network through `wasi:http`
//! or not at all, since a raw socket would say nothing of whom it speaks to.

use hive_core::codes::Code;
use hive_telemetry::{Capability, CapabilityDenied};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::instance_network::Host;
use wasmtime_wasi::sockets::WasiSocketsView;

use super::reporting::Reporting;

/// Puts itself in front of the function that everything begins with: to bind, to connect and to look
/// up a name takes the network that it gives. What is then done with it, wasmtime denies.
pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: Reporting + WasiView + 'static,
{
    linker
        .instance("wasi:sockets/instance-network@0.2.12")?
        .func_wrap("instance-network", |mut store: StoreContextMut<'_, T>, (): ()| {
            let state = store.data_mut();
            state.telemetry().denied(CapabilityDenied {
                capability: Capability::Sockets,
                code: Code::SocketDenied.as_str(),
                asked: &"a socket or the look-up of a name",
                reason: &format_args!(
                    "no key grants it; HTTP goes through wasi:http, and `components.{}.allow.http` names where",
                    state.component()
                ),
            });
            Ok((Host::instance_network(&mut state.sockets())?,))
        })
}
