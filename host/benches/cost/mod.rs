//! What a part of the host allocates. It counts with an allocator of its own, so what is measured otherwise does without it.

use std::future::Future;
use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use tokio::runtime::Runtime;

/// What a thread allocated for one of many equal calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Allocations; what happens now and then, such as a tick of the clock, is rounded away.
    pub(crate) count: u64,
    /// Bytes of them together.
    pub(crate) bytes: u64,
}

/// How often a cost is measured, for one that is the same each time.
pub(crate) const CALLS: u64 = 1000;

impl Cost {
    fn of(work: impl FnOnce()) -> Self {
        let AllocationInfo {
            count_total,
            bytes_total,
            ..
        } = measure(work);
        Self {
            count: count_total / CALLS,
            bytes: bytes_total / CALLS,
        }
    }
}

/// What each of many runs of `work` allocates. What `work` takes is not counted with it.
pub(crate) fn cost<I, T>(input: impl Fn() -> I, mut work: impl FnMut(I) -> T) -> Cost {
    let inputs: Vec<I> = (0..CALLS).map(|_| input()).collect();
    Cost::of(|| {
        for input in inputs {
            black_box(work(input));
        }
    })
}

/// What each of many runs of `work` allocates on this thread, after some that are not counted.
pub(crate) fn cost_of_waiting<F: Future>(
    runtime: &Runtime,
    mut work: impl FnMut(u64) -> F,
) -> Cost {
    let mut run = |numbers: std::ops::Range<u64>| {
        runtime.block_on(async {
            for number in numbers {
                black_box(work(number).await);
            }
        });
    };
    run(0..CALLS);
    Cost::of(|| run(CALLS..2 * CALLS))
}
