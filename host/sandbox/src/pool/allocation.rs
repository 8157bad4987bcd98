//! What the engine reserves at its start for all instances of the host together.

use wasmtime::{Enabled, PoolingAllocationConfig};

use crate::instance::limits::TABLE_ELEMENTS;

/// Resources of one component, as the pool reserves them: enough for the largest runtimes that
/// compile to components (JavaScript and Python use up to nine core instances).
const CORE_INSTANCES_PER_COMPONENT: u32 = 20;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 10;

/// The largest 32-bit memory. A permit reserves this size anyway, and the limit of a component may be raised
/// while the host runs.
const LARGEST_MEMORY: usize = 1 << 32;

/// The parameters of the pool.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Instances that exist at once.
    pub instances: u32,
}

pub(crate) fn pooling(limits: EngineLimits) -> PoolingAllocationConfig {
    let instances = limits.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(LARGEST_MEMORY)
        .pagemap_scan(Enabled::Auto);
    // Without PAGEMAP_SCAN what is kept is cleared with a memset at every reuse of a slot.
    let keep = if PoolingAllocationConfig::is_pagemap_scan_available() {
        512 * 1024
    } else {
        128 * 1024
    };
    pool.linear_memory_keep_resident(keep)
        .table_keep_resident(64 * 1024);
    pool
}
