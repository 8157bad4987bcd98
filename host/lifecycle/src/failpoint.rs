//! Steps of a delivery at which a test ends the host as a power cut would.
//!
//! Compiled in with the feature `failpoints` only, which no release has: without it each step is
//! nothing at all. With it, `FAILPOINTS="publish.confirmed=return"` kills the process there, and
//! `20*off->return` in place of `return` lets twenty deliveries pass first (the crate `fail` has the
//! syntax).

/// A delivery has come to this step.
pub fn reached(step: &'static str) {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(step, |_| power_cut());
    #[cfg(not(feature = "failpoints"))]
    let _ = step;
}

/// Reads which steps are armed. To be called before the first delivery.
#[cfg(feature = "failpoints")]
pub fn arm() {
    // Kept for as long as the process lives; it has no end of its own.
    std::mem::forget(fail::FailScenario::setup());
}

#[cfg(feature = "failpoints")]
fn power_cut() {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL)
        .expect("a process may end itself");
}
