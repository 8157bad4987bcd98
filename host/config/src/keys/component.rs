//! `[components.NAME]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::LONGEST;
use crate::diff::differing::or;
use crate::plan::{AllowPlan, Instances, Kept};

const SHA256: &str = "^[0-9a-fA-F]{64}$";

/// One page of WebAssembly memory.
const PAGE: u64 = 64 * 1024;

/// Less would not take the words of an error.
const SMALLEST_ANSWER: u64 = 1024;

table! {
    /// `[components.NAME]`.
    #[derive(Clone, PartialEq)]
    pub struct ComponentPlan, meant ComponentMeant {
        /// The component: `.wasm`, `.wat`, or native code of `hive-host compile`, `.cwasm`, which is trusted as the host
        /// itself is.
        path => PathBuf as Text [required], written "path";

        /// The command line that builds it. `hive-host dev` runs it, `run` does not.
        build: Option<String> as Text [hidden idle], else "no command";

        /// [Swap](hot-swap.md#watching-the-file) the component when its file changes.
        watch: bool = false [idle];

        /// Instances that handle deliveries at once, over all consumers of the component. Further deliveries wait in
        /// the host and, beyond `prefetch`, at the broker. A canary or a shadow has the same number in addition.
        max_instances: Option<u16> as Integer(1, u16::MAX as i64), else "as many as its consumers need";

        /// `"reuse"`: an instance serves many deliveries and keeps its state between them. `"fresh"`: a new instance
        /// for each delivery.
        instances -> Kept = "reuse", from |component| component.instances.kept();

        /// With `"reuse"`: the number of deliveries after which an instance is replaced.
        recycle_after -> u64 as Integer(1, i64::MAX),
            else "never",
            from |component| or(component.instances.after(), "never");

        /// With `"reuse"`: the host replaces an instance whose memories together are larger than this after a delivery.
        /// The memory of WebAssembly never shrinks.
        recycle_above -> u64 as Size(PAGE),
            else "never",
            from |component| or(component.instances.above(), "never");

        /// With `"reuse"`: the host removes an instance that was not used for this long.
        recycle_idle -> Duration as Duration(1, LONGEST) = "5m",
            from |component| or(component.instances.idle(), "never");

        /// Memory of one instance, over all its linear memories.
        memory: u64 as Size(PAGE) = "64MiB";

        /// Time for one call.
        timeout: Duration as Duration(1, LONGEST) = "5s";

        /// Publications of one answer.
        max_publications: u32 as Integer(0, u32::MAX as i64) = 1000;

        /// The most data that the component may pass to the host at once: its answer, or the arguments of one host
        /// function. Each publication counts as its size (texts and body) plus about 400 bytes.
        max_answer: u64 as Size(SMALLEST_ANSWER) = "16MiB";

        /// Lines a second that all instances of the component together may print. The host leaves out further lines
        /// and logs their number once a second.
        log_lines: u32 as Integer(0, u32::MAX as i64) = 100;

        /// The values that the component reads through `wasi:config/store`.
        config: Vec<(String, String)> as Texts [hidden], else "empty";

        /// The SHA-256 of the file at `path`. The host checks it each time it loads the file. `sha256sum` and
        /// `hive-host check` print it.
        sha256 => Option<String> as Form(SHA256) [hidden], else "not set: any file", written "64 hexadecimal digits";

        /// What the component may reach outside of itself: only what is listed. Publishing is allowed by default.
        allow => AllowPlan as Table(AllowPlan::KEYS), within AllowPlan of |component| &component.allow;
    }
    beside {
        /// The name of the component in the file.
        name: Arc<str>,
        /// Whether state lives between deliveries.
        instances: Instances,
    }
}
