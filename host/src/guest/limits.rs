//! What one instance may use: the memory of all its linear memories together, and its tables.

use wasmtime::ResourceLimiter;

/// Elements of one table. A large Python component has some tens of thousands of functions.
pub(super) const TABLE_ELEMENTS: usize = 200_000;

/// Bytes that may cross from a component to the host in one call: its answer, or an argument of a
/// host function.
pub(super) const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Counts the memory of an instance over all its linear memories.
///
/// wasmtime's own `StoreLimits` bound each memory by itself, so a component of five core modules
/// would get five times what its plan allows.
#[derive(Debug)]
pub(super) struct Limits {
    memory: usize,
    used: usize,
    denied: Option<String>,
}

impl Limits {
    pub(super) fn new(memory: u64) -> Self {
        Self {
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            used: 0,
            denied: None,
        }
    }

    /// What was denied since the last call began: the reason behind whatever trap followed.
    pub(super) fn take_denied(&mut self) -> Option<String> {
        self.denied.take()
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory {
            self.denied = Some(format!(
                "the instance asked for {used} bytes of memory in all, its limit is {} bytes (`memory`)",
                self.memory
            ));
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= TABLE_ELEMENTS;
        if !fits {
            self.denied = Some(format!(
                "the instance asked for a table of {desired} elements, the limit is {TABLE_ELEMENTS}"
            ));
        }
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = Limits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(!limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.take_denied().unwrap().contains("120 bytes"));
        assert!(limits.memory_growing(60, 100, None).unwrap());
        assert_eq!(limits.take_denied(), None);
    }
}
