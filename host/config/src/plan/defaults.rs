//! A host and a component without a section of their own.

use std::path::PathBuf;
use std::sync::Arc;

use super::{AllowPlan, ComponentPlan, HostPlan, Instances};
use crate::keys::{ComponentMeant, HostMeant};

impl HostPlan {
    /// The host of this name, with every other key at its default but for the admin server, which is off.
    pub fn named(name: Arc<str>) -> Self {
        let meant = HostMeant {
            name,
            admin: None,
            admin_token: None,
            admin_viewer_token: None,
            group: None,
            log: Self::log.default(),
            log_format: Self::log_format.default(),
        };
        Self::of_table(None, meant).expect("no other key is required")
    }
}

impl ComponentPlan {
    /// The component of a file, with every other key at its default: 64 MiB, 5 s for a call, nothing
    /// granted, publications to anywhere.
    pub fn of_file(name: Arc<str>, path: PathBuf) -> Self {
        let meant = ComponentMeant {
            name,
            path,
            instances: Instances::Reuse {
                after: None,
                above: None,
                idle: Some(Self::recycle_idle.default()),
            },
            sha256: None,
            allow: AllowPlan::default(),
        };
        Self::of_table(None, meant).expect("no other key is required")
    }
}
