//! The host's state for one instance, beside the instance itself.

use std::sync::Arc;

use hive_config::plan::ComponentPlan;
use hive_objects::Container;
use hive_store::{Noted, Notes, Noting, Store};
use hive_telemetry::ComponentTelemetry;
use tokio::time::Instant;
use wasmtime_wasi::{ResourceTable, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::computing::Computing;
use super::limits::Limits;
use super::logs::{LineRate, Output};
use super::wasi::Wasi;
use crate::capability::blobstore::{self, Blobstore, BlobstoreView};
use crate::capability::config::ConfigView;
use crate::capability::http::Outgoing;
use crate::capability::keyvalue::{Access, KeyValue, KeyValueView};
use crate::capability::reporting::Reporting;
use crate::capability::requests::{Asking, Requester, Requests, RequestsView};
use crate::capability::shadow::{NoBroker, NoNetwork};
use crate::capability::surroundings::{Network, Surroundings};

/// What the instances of one component are granted, and where they report.
pub(crate) struct Grants {
    pub(crate) plan: ComponentPlan,
    pub(super) config: WasiConfigVariables,
    /// How many lines the instances may print together.
    pub(super) lines: Arc<LineRate>,
    /// Has their buckets.
    pub(super) store: Arc<dyn Store>,
    /// Have their objects.
    pub(super) containers: Arc<[Container]>,
    pub(super) surroundings: Surroundings,
    /// The generation, if it is a shadow: its instances change nothing outside of them.
    pub(crate) shadow: Option<u64>,
    pub(crate) telemetry: ComponentTelemetry,
}

/// The data of an instance's store.
pub(crate) struct State {
    grants: Arc<Grants>,
    wasi: Wasi,
    table: ResourceTable,
    http: WasiHttpCtx,
    pub(super) outgoing: Outgoing,
    keyvalue: KeyValue,
    pub(super) requests: Requests,
    pub(super) blobstore: Blobstore,
    pub(super) limits: Limits,
    pub(super) output: Output,
    noting: Arc<Noting>,
    /// Of an instance of a shadow.
    pub(super) no_broker: Option<Arc<dyn Requester>>,
    /// When the call that runs now has run too long.
    pub(super) deadline: Instant,
    pub(super) computing: Computing,
}

impl State {
    /// Of an instance that is made now. Grants what the plan allows: its environment, its configuration, its directories,
    /// its HTTP, its buckets, its requests, its containers. No sockets, no arguments; clocks and randomness always.
    ///
    /// # Errors
    ///
    /// A directory that cannot be opened any more.
    pub(super) fn new(grants: &Arc<Grants>, now: Instant) -> Result<Self, String> {
        let Grants {
            plan,
            telemetry,
            store,
            containers,
            lines,
            surroundings,
            shadow,
            ..
        } = &**grants;
        let output = Output::new(Arc::clone(&plan.name), Arc::clone(lines), *shadow);
        let noting = Arc::<Noting>::default();
        let noted: Arc<dyn Store> = match plan.allow.keyvalue.is_empty() {
            true => Arc::clone(store),
            false => Arc::new(Noted::new(store, &noting)),
        };
        let is_shadow = shadow.is_some();
        let no_network = is_shadow.then(|| {
            let none: Arc<dyn Network> = Arc::new(NoNetwork(Arc::clone(&noting)));
            none
        });
        let no_broker = is_shadow.then(|| {
            let none: Arc<dyn Requester> = Arc::new(NoBroker(Arc::clone(&noting)));
            none
        });
        let network = no_network.or_else(|| surroundings.network.clone());
        let state = Self {
            grants: Arc::clone(grants),
            wasi: Wasi::of(plan, surroundings, &output)?,
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(plan, network, telemetry, now),
            keyvalue: KeyValue::new(plan, &noted, telemetry),
            requests: Requests::new(plan, telemetry),
            blobstore: Blobstore::new(plan, containers, &noting, telemetry, now),
            limits: Limits::new(plan),
            output,
            noting,
            no_broker,
            deadline: now,
            computing: Computing::new(now),
        };
        state.note(None);
        Ok(state)
    }

    /// What the calls from here on do is noted here, or nowhere. The calls of a shadow are always noted, as second
    /// ones, and none else is: what a shadow does outside of a delivery changes nothing either.
    pub(super) fn note(&self, notes: Option<&Arc<Notes>>) {
        let is_shadow = self.no_broker.is_some();
        let notes = notes
            .filter(|notes| notes.is_second() == is_shadow)
            .cloned();
        let of_none = || is_shadow.then(|| Arc::new(Notes::after(Arc::default())));
        self.noting.begin(notes.or_else(of_none));
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Grants {
            plan, surroundings, ..
        } = &*self.grants;
        WasiCtxView {
            ctx: self.wasi.get(plan, surroundings, &self.output),
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.outgoing.ends_at(self.deadline);
        WasiHttpCtxView {
            hooks: &mut self.outgoing,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl ConfigView for State {
    fn config(&self) -> &WasiConfigVariables {
        &self.grants.config
    }
}

impl KeyValueView for State {
    fn keyvalue(&mut self) -> Access<'_> {
        Access {
            keyvalue: &mut self.keyvalue,
            table: &mut self.table,
        }
    }
}

impl RequestsView for State {
    fn requests(&mut self) -> Asking<'_> {
        Asking {
            requests: &self.requests,
            deadline: self.deadline,
        }
    }
}

impl BlobstoreView for State {
    fn blobstore(&mut self) -> blobstore::Access<'_> {
        blobstore::Access {
            blobstore: &mut self.blobstore,
            table: &mut self.table,
        }
    }
}

impl Reporting for State {
    fn component(&self) -> &str {
        &self.outgoing.component
    }

    fn telemetry(&self) -> &ComponentTelemetry {
        &self.grants.telemetry
    }

    fn noting(&self) -> &Noting {
        &self.noting
    }
}
