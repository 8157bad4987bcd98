//! A compilation that takes its time is reported: a host that is silent for ten seconds looks as if it hung.

use std::pin::pin;
use std::time::Duration;

use hive_telemetry::Fact;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// After which time a compilation is reported, and then how often.
const EVERY: Duration = Duration::from_secs(1);

/// Waits for a compilation. Reports it while it runs and at its end, if it takes longer than a second.
pub(super) async fn reported<T, E>(
    component: &str,
    compilation: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    reported_every(EVERY, component, compilation).await
}

async fn reported_every<T, E>(
    every: Duration,
    component: &str,
    compilation: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut compilation = pin!(compilation);
    let begun = Instant::now();
    let mut ticks = interval_at(begun + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut reports = 0;
    let compiled = loop {
        tokio::select! {
            biased;
            compiled = &mut compilation => break compiled,
            _ = ticks.tick() => {
                match reports {
                    0 => Fact::CompilationSlow { component }.emit(),
                    _ => Fact::StillCompiling {
                        component,
                        seconds: begun.elapsed().as_secs(),
                    }
                    .emit(),
                }
                reports += 1;
            }
        }
    };
    if reports > 0 && compiled.is_ok() {
        Fact::ComponentCompiled {
            component,
            took_ms: begun.elapsed().as_secs_f64() * 1e3,
        }
        .emit();
    }
    compiled
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use hive_telemetry::{Observer, observe_here};
    use tokio::sync::watch;

    use super::*;

    /// What was reported, and how many reports there are.
    struct Reports {
        told: Mutex<Vec<&'static str>>,
        count: watch::Sender<usize>,
    }

    impl Observer for Reports {
        fn observe(&self, fact: &Fact<'_>) {
            self.told.lock().unwrap().push(match fact {
                Fact::CompilationSlow {
                    component: "orders",
                } => "compiling",
                Fact::StillCompiling {
                    component: "orders",
                    ..
                } => "still",
                Fact::ComponentCompiled {
                    component: "orders",
                    ..
                } => "compiled",
                _ => "another",
            });
            self.count.send_modify(|count| *count += 1);
        }
    }

    /// The reports of a compilation that ends at the report of this number.
    async fn reports(end: usize, result: Result<(), ()>) -> Vec<&'static str> {
        let reports = Arc::new(Reports {
            told: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let _here = observe_here(Arc::clone(&reports) as _);
        let mut count = reports.count.subscribe();
        let compilation = async {
            count.wait_for(|count| *count >= end).await.unwrap();
            result
        };
        let every = Duration::from_millis(1);
        assert_eq!(reported_every(every, "orders", compilation).await, result);
        let told = reports.told.lock().unwrap();
        told.clone()
    }

    #[tokio::test]
    async fn only_a_slow_compilation_is_reported() {
        assert_eq!(reports(0, Ok(())).await, [""; 0]);
        assert_eq!(reports(2, Ok(())).await, ["compiling", "still", "compiled"]);
        assert_eq!(reports(1, Err(())).await, ["compiling"]);
    }
}
