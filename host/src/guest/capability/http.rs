//! `wasi:http`: linked, because JavaScript components import it even when they never use it, and
//! denied at the call.

use std::sync::Arc;

use http::{Request, Response};
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use crate::guest::state::State;

/// Denies every request, and says in the log which one.
#[derive(Debug)]
pub(in crate::guest) struct Outgoing {
    pub(in crate::guest) component: Arc<str>,
}

/// A running exchange of bytes with a peer.
type Exchange = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _exchange: Exchange,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Exchange), Error>> + Send> {
        let component = &*self.component;
        let authority = request.uri().authority().map(ToString::to_string);
        tracing::warn!(
            component,
            authority,
            "an HTTP request was denied: outgoing HTTP (`components.{component}.allow.http`) is not built yet"
        );
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

pub(in crate::guest) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl WasiHttpView for State {
    fn http(&mut self) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
        wasmtime_wasi_http::WasiHttpCtxView {
            hooks: &mut self.outgoing,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
