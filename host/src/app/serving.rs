//! Health, metrics and commands over HTTP, from before the first component is compiled.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use hive_config::plan::{AdminPlan, Plan};
use hive_core::codes::{Code, Coded};
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, Telemetry};

use super::StartFault;
use super::board::Board;
use super::group::Group;
use crate::admin::{Admin, Commands, Hosts, Identity, RuntimeFile, Sources};
use crate::audit::Audit;
use crate::control::Control;
use crate::dead::Desk;
use crate::tail::Tail;

/// What the admin server of a host is made with.
pub(super) struct Serving<'a> {
    pub(super) plan: &'a Plan,
    /// hive.toml.
    pub(super) file: &'a Path,
    pub(super) board: &'a Arc<Board>,
    pub(super) group: Option<&'a Arc<Group>>,
    pub(super) control: &'a Control,
    pub(super) audit: &'a Audit,
    pub(super) telemetry: &'a Telemetry,
    pub(super) tail: &'a Tail,
}

impl Serving<'_> {
    /// Serves from now on, if the plan says so. Returns what leads commands here.
    pub(super) async fn start(&self, tasks: &Tasks) -> Result<Option<RuntimeFile>, StartFault> {
        let Some(plan) = &self.plan.host.admin else {
            return Ok(None);
        };
        let Some(admin) = bind(plan).await? else {
            return Ok(None);
        };
        let runtime_file = runtime_file(plan, &admin, self.file);
        admin.serve(self.sources(tasks), tasks);
        Ok(runtime_file)
    }

    fn sources(&self, tasks: &Tasks) -> Sources {
        let Self { plan, file, .. } = self;
        let (measuring, counting) = (Arc::clone(self.board), Arc::clone(self.board));
        Sources {
            status: self.board.reader(),
            measured: Arc::new(move || {
                let board = Arc::clone(&measuring);
                Box::pin(async move { board.measured().await })
            }),
            hosts: self.group.map(hosts),
            telemetry: self.telemetry.clone(),
            commands: Commands {
                control: self.control.clone(),
                token: plan.host.admin_token.clone(),
                viewer: plan.host.admin_viewer_token.clone(),
            },
            audit: self.audit.clone(),
            identity: Identity {
                host: Arc::clone(&plan.host.name),
                file: std::fs::canonicalize(file).unwrap_or_else(|_| (*file).to_owned()),
            },
            telemetries: Arc::new(move || counting.telemetries()),
            plan: self.board.plan_reader(),
            desk: Desk::new(self.board.plan_reader(), plan.host.admin_bodies, tasks),
            tail: self.tail.clone(),
            shows_bodies: plan.host.admin_bodies,
            since: SystemTime::now(),
        }
    }
}

/// The hosts of a group, as the admin server asks them.
fn hosts(group: &Arc<Group>) -> Hosts {
    let (asked, commanded) = (Arc::clone(group), Arc::clone(group));
    Hosts {
        status: Arc::new(move || {
            let group = Arc::clone(&asked);
            Box::pin(async move { group.status().await })
        }),
        command: Arc::new(move |command, force| {
            let group = Arc::clone(&commanded);
            Box::pin(async move { group.command(command, force).await })
        }),
    }
}

/// `None` where a host does without, since nothing names its address.
async fn bind(plan: &AdminPlan) -> Result<Option<Admin>, StartFault> {
    let AdminPlan { address, is_named } = *plan;
    match Admin::bind(address, !is_named).await {
        Ok(admin) => Ok(Some(admin)),
        Err(error) if is_named => {
            let text = format!(
                "the admin server cannot listen on {address}: {error}; change `host.admin`"
            );
            Err(StartFault::Host(Coded::new(Code::AdminPortTaken, text)))
        }
        Err(error) => {
            Fact::AdminUnavailable {
                code: Code::AdminPortTaken.as_str(),
                address,
                error: &error,
            }
            .emit();
            Ok(None)
        }
    }
}

/// Leads commands to an admin server whose address they cannot know.
fn runtime_file(plan: &AdminPlan, admin: &Admin, file: &Path) -> Option<RuntimeFile> {
    if plan.is_named && plan.address.port() != 0 {
        return None;
    }
    let written = admin
        .address()
        .and_then(|address| RuntimeFile::write(file, address));
    written
        .inspect_err(|error| Fact::AdminNotFound { error }.emit())
        .ok()
}
