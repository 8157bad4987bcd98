//! What a component may reach outside itself: one file for each host interface.
//!
//! Everything is linked and denied at the call. A toolchain's standard library imports far more than a
//! component uses, and a component that never calls its imports must still run.

pub(crate) mod blobstore;
pub(crate) mod config;
pub(crate) mod dirs;
pub(crate) mod env;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod publish;
pub(crate) mod reporting;
pub(crate) mod requests;
pub(crate) mod shadow;
pub(crate) mod sockets;
pub(crate) mod surroundings;

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpView;

use self::blobstore::BlobstoreView;
use self::config::ConfigView;
use self::keyvalue::KeyValueView;
use self::reporting::Reporting;
use self::requests::RequestsView;

/// A linker with everything that a component may import. What it reaches of its instance, each interface finds
/// through a view.
pub(crate) fn linker<T>(engine: &Engine) -> wasmtime::Result<Linker<T>>
where
    T: Reporting
        + WasiView
        + WasiHttpView
        + ConfigView
        + KeyValueView
        + RequestsView
        + BlobstoreView
        + 'static,
{
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // Functions in front of wasmtime's log what is denied.
    linker.allow_shadowing(true);
    env::link(&mut linker)?;
    dirs::link(&mut linker)?;
    sockets::link(&mut linker)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    config::link(&mut linker)?;
    keyvalue::link(&mut linker)?;
    requests::link(&mut linker)?;
    blobstore::link(&mut linker)?;
    Ok(linker)
}
