//! The code of a component: from its content to something that can be linked, with a report of every fault.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use hive_config::plan::{ComponentPlan, ConsumerPlan};
use hive_core::codes::Code as ErrorCode;
use hive_lifecycle::Tasks;
use wasmtime::component::Component;

use super::content::{Content, check_sum};
use super::cpu::Cpu;
use super::exports::{self, Handlers};
use super::fault::{ComponentFault, Reason};
use super::functions::Functions;
use super::{ahead, native, slow, trust};

/// Where code comes from.
#[derive(Debug)]
pub enum Source {
    /// The file that the plan names.
    File,
    /// Content that was read or sent before.
    Content(Content),
    /// Code that was compiled before.
    Compiled(Code),
}

/// Compiled code, fit for the contract. Clones share it.
#[derive(Clone)]
pub struct Code {
    pub(crate) component: Component,
    pub(crate) hash: Arc<str>,
    pub(crate) imports: Arc<[String]>,
    pub(crate) handlers: Handlers,
}

impl Code {
    /// Whether it exports what each of `consumers` calls; an error has a reason for each that it cannot
    /// serve.
    pub(crate) fn fits(&self, consumers: &[&ConsumerPlan]) -> Result<(), Vec<Reason>> {
        let misfits = consumers
            .iter()
            .filter_map(|consumer| self.handlers.misfit(consumer));
        let misfits: Vec<Reason> = misfits.collect();
        match misfits.is_empty() {
            true => Ok(()),
            false => Err(misfits),
        }
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// Compiles components, and checks what they export and import. Clones share everything.
#[derive(Clone)]
pub(crate) struct Compiler {
    engine: wasmtime::Engine,
    /// Those that it keeps, if any.
    functions: Option<Arc<Functions>>,
    tasks: Tasks,
}

impl Compiler {
    pub(crate) fn new(
        engine: wasmtime::Engine,
        functions: Option<Arc<Functions>>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            engine,
            functions,
            tasks: tasks.clone(),
        }
    }

    /// The current content of the plan's file.
    pub(crate) async fn file(&self, plan: &ComponentPlan) -> Result<Content, ComponentFault> {
        let (path, build) = (plan.path.clone(), plan.build.clone());
        self.aside(plan, move || Content::of_file(&path, build.as_deref()))
            .await
    }

    /// Content that was sent instead of the file.
    pub(crate) async fn sent(
        &self,
        plan: &ComponentPlan,
        bytes: Vec<u8>,
    ) -> Result<Content, ComponentFault> {
        self.aside(plan, move || Ok(Content::sent(bytes))).await
    }

    /// Compiles and checks the code of a component.
    pub(crate) async fn code(
        &self,
        plan: &ComponentPlan,
        source: Source,
    ) -> Result<Code, ComponentFault> {
        let (compiler, owned) = (self.clone(), plan.clone());
        let compilation = self.aside(plan, move || compiler.compile(&owned, source));
        let code = slow::reported(&plan.name, compilation).await;
        if let Some(functions) = self.functions.clone() {
            // Nothing waits for it.
            self.tasks.spawn_blocking(move || functions.save());
        }
        code
    }

    /// The file of native code for a component, compiled with the settings of this engine.
    pub(super) async fn ahead(
        &self,
        plan: &ComponentPlan,
        cpu: Cpu,
    ) -> Result<Vec<u8>, ComponentFault> {
        let (engine, owned) = (self.engine.clone(), plan.clone());
        let compilation = self.aside(plan, move || {
            let Content { bytes, hash, .. } =
                Content::of_file(&owned.path, owned.build.as_deref())?;
            check_sum(&hash, &owned)?;
            let compiled = binary(&owned.path, &bytes).and_then(|bytes| {
                let compiled = engine.precompile_component(&bytes);
                compiled.map_err(|error| not_compiled(&error))
            });
            let code = compiled.map_err(|reason| vec![reason])?;
            Ok(ahead::Head::of_this_host(&cpu.to_string(), &hash).file(&code))
        });
        slow::reported(&plan.name, compilation).await
    }

    /// Runs a computation away from the tasks that handle deliveries.
    async fn aside<T: Send + 'static>(
        &self,
        plan: &ComponentPlan,
        computation: impl FnOnce() -> Result<T, Vec<Reason>> + Send + 'static,
    ) -> Result<T, ComponentFault> {
        let computed = self.tasks.spawn_blocking(computation).await;
        computed
            .unwrap_or_else(|error| {
                Err(vec![Reason::new(
                    ErrorCode::HostFailed,
                    format!("the host failed over it: {error}"),
                )])
            })
            .map_err(|reasons| ComponentFault::of(plan, reasons))
    }

    fn compile(&self, plan: &ComponentPlan, source: Source) -> Result<Code, Vec<Reason>> {
        let Content {
            bytes,
            hash,
            is_sent,
        } = match source {
            Source::Compiled(code) => {
                check_sum(&code.hash, plan)?;
                return Ok(code);
            }
            Source::Content(content) => content,
            Source::File => Content::of_file(&plan.path, plan.build.as_deref())?,
        };
        check_sum(&hash, plan)?;
        let component = match ahead::is_native(&bytes) {
            true if is_sent => Err(Reason::new(
                ErrorCode::OtherEngine,
                "it is native code, which is taken from the file in hive.toml alone; send the .wasm it was made from",
            )),
            true => self.read_native(&plan.path, &bytes),
            false => self.read(&plan.path, &bytes),
        };
        let component = component.map_err(|reason| vec![reason])?;
        let handlers = exports::handlers(&self.engine, &component)?;
        component
            .initialize_copy_on_write_image()
            .map_err(|error| {
                let text = format!("its memory cannot be prepared: {error:#}");
                vec![Reason::new(ErrorCode::DoesNotCompile, text)]
            })?;
        Ok(Code {
            imports: exports::imports(&self.engine, &component).into(),
            component,
            hash,
            handlers,
        })
    }

    fn read(&self, path: &Path, bytes: &[u8]) -> Result<Component, Reason> {
        let bytes = binary(path, bytes)?;
        Component::new(&self.engine, &bytes).map_err(|error| not_compiled(&error))
    }

    /// Code that was compiled ahead. What it was made for is checked first: an old file is no danger, whoever may write it.
    fn read_native(&self, path: &Path, bytes: &[u8]) -> Result<Component, Reason> {
        let (head, code) = ahead::read(bytes)?;
        head.check()?;
        trust::check(path)?;
        native::component(&self.engine, code).map_err(|error| head.refused(&error))
    }
}

/// A component in its binary form.
fn binary<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Reason> {
    const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if bytes.is_empty() {
        let text = "the file is empty; was its build interrupted?";
        return Err(Reason::new(ErrorCode::NotWebAssembly, text));
    }
    // Code that was sent has no name; text is recognised by its beginning.
    let is_text = path.extension().is_some_and(|extension| extension == "wat")
        || bytes.trim_ascii_start().starts_with(b"(");
    let bytes: Cow<'_, [u8]> = match is_text {
        true => of_text(bytes)?,
        false => bytes.into(),
    };
    if bytes.starts_with(CORE_MODULE) {
        return Err(Reason::new(ErrorCode::CoreModule, core_module(&bytes)));
    }
    if !bytes.starts_with(b"\0asm") {
        let text = "it is not WebAssembly: it does not begin with \\0asm";
        return Err(Reason::new(ErrorCode::NotWebAssembly, text));
    }
    Ok(bytes)
}

/// A component that is written as text, in binary.
#[cfg(feature = "wat")]
fn of_text(text: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    wat::parse_bytes(text).map_err(|error| {
        let text = format!("it is not WebAssembly text: {error}");
        Reason::new(ErrorCode::NotWebAssembly, text)
    })
}

#[cfg(not(feature = "wat"))]
fn of_text(_: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    let text = "it is WebAssembly text, and this hive-host was built without its cargo feature `wat`; \
                name a .wasm, or build hive-host with that feature";
    Err(Reason::new(ErrorCode::NotWebAssembly, text))
}

/// The engine refuses a component.
pub(crate) fn not_compiled(error: &wasmtime::Error) -> Reason {
    Reason::new(ErrorCode::DoesNotCompile, advise(&format!("{error:#}")))
}

/// Adds what to do to the errors of wasmtime that people meet.
pub(crate) fn advise(error: &str) -> String {
    const ADVICE: &[(&str, &str)] = &[
        (
            "requires the component model async feature",
            "its functions are async; build it with synchronous exports",
        ),
        (
            "exceeds the limit of",
            "it needs more than the host gives; raise `memory` of the component",
        ),
        (
            "exceeds memory limits",
            "it needs more than the host gives; raise `memory` of the component",
        ),
    ];
    match ADVICE.iter().find(|(sign, _)| error.contains(sign)) {
        Some((_, advice)) => format!("{advice} ({error})"),
        None => error.to_owned(),
    }
}
/// What a core module was built for, and how it becomes a component.
fn core_module(bytes: &[u8]) -> &'static str {
    const PREVIEW1: &[u8] = b"wasi_snapshot_preview1";
    match bytes.windows(PREVIEW1.len()).any(|name| name == PREVIEW1) {
        true => {
            "it is a core WebAssembly module, not a component; build it for wasm32-wasip2: it was built for \
             wasm32-wasip1, whose interface (wasi_snapshot_preview1) it imports. Or wrap it with `wasm-tools component \
             new` and the adapter of that interface"
        }
        false => {
            "it is a core WebAssembly module, not a component; build it for wasm32-wasip2, or wrap it with \
             `wasm-tools component new`"
        }
    }
}
