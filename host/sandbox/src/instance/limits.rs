//! The limits of one instance: the memory of all its linear memories together, the elements of all its tables
//! together, and the size of its answers.

use hive_config::plan::ComponentPlan;
use wasmtime::ResourceLimiter;

/// Elements of all tables of an instance. A large Python component has some tens of thousands of
/// functions.
pub(crate) const TABLE_ELEMENTS: usize = 200_000;

/// Counts what an instance has, over all its memories and over all its tables.
///
/// wasmtime's own `StoreLimits` bound each memory by itself, so a component of five core modules
/// would get five times what its plan allows.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Bytes of all memories.
    memory: Account,
    /// Elements of all tables.
    table_elements: Account,
    /// Bytes that may cross from the component to the host in one call: its answer, or the arguments
    /// of a host function.
    answer: usize,
    denied: Option<String>,
}

/// What an instance has of one kind, and may have.
#[derive(Debug)]
struct Account {
    used: usize,
    limit: usize,
}

impl Account {
    fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    /// Adds a growth, and says whether it may be. `false`: the component's own maximum forbids it, so no limit of the
    /// host denied it. That is looked at last, because a table without a maximum of its own has that of the pool.
    ///
    /// An error is what there would be in all, which is beyond the limit.
    fn grow(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, usize> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(used);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }
}

impl Limits {
    pub(crate) fn new(plan: &ComponentPlan) -> Self {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            memory: Account::new(bytes(plan.memory)),
            table_elements: Account::new(TABLE_ELEMENTS),
            answer: bytes(plan.max_answer),
            denied: None,
        }
    }

    /// See `Store::set_hostcall_fuel`.
    pub(crate) fn answer(&self) -> usize {
        self.answer
    }

    /// Bytes of all memories of the instance, which never shrink.
    pub(crate) fn used(&self) -> u64 {
        self.memory.used as u64
    }

    /// What was denied since the last call began: the reason behind a trap that followed.
    pub(crate) fn take_denied(&mut self) -> Option<String> {
        self.denied.take()
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory.grow(current, desired, maximum).or_else(|used| {
            self.denied = Some(format!(
                "the instance asked for {used} bytes of memory in all, its limit is {} bytes \
                 (`memory` of the component raises it)",
                self.memory.limit
            ));
            Ok(false)
        })
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.table_elements
            .grow(current, desired, maximum)
            .or_else(|used| {
                self.denied = Some(format!(
                    "the instance asked for {used} elements of its tables in all, the limit is \
                     {TABLE_ELEMENTS}, and no key raises it"
                ));
                Ok(false)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            memory: Account::new(100),
            table_elements: Account::new(TABLE_ELEMENTS),
            answer: 0,
            denied: None,
        }
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = limits();
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(!limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.take_denied().unwrap().contains("120 bytes"));
        assert!(limits.memory_growing(60, 100, None).unwrap());
        assert_eq!(limits.take_denied(), None);
    }

    #[test]
    fn elements_are_counted_over_all_tables() {
        let mut limits = limits();
        let most = TABLE_ELEMENTS;
        assert!(limits.table_growing(0, most / 2, None).unwrap());
        // A table without a maximum of its own has the pool's.
        assert!(!limits.table_growing(0, most / 2 + 1, Some(most)).unwrap());
        assert!(limits.take_denied().unwrap().contains("200001 elements"));
        assert!(!limits.table_growing(0, most + 1, Some(most)).unwrap());
        assert!(limits.take_denied().unwrap().contains("elements"));
        assert!(limits.table_growing(0, most / 2, None).unwrap());
    }

    #[test]
    fn a_growth_beyond_the_components_own_maximum_uses_nothing() {
        let mut limits = limits();
        for _ in 0..3 {
            assert!(!limits.memory_growing(0, 60, Some(50)).unwrap());
            assert!(!limits.table_growing(0, TABLE_ELEMENTS, Some(5)).unwrap());
        }
        assert_eq!(limits.take_denied(), None);
        assert!(limits.memory_growing(0, 100, Some(100)).unwrap());
    }
}
