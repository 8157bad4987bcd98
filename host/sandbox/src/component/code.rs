//! The code of a component: from its content to something that can be linked, with a report of every fault.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use hive_config::plan::{ComponentPlan, ConsumerPlan};
use hive_core::codes::Code as ErrorCode;
use hive_lifecycle::Tasks;
use wasmtime::Precompiled;
use wasmtime::component::Component;

use super::content::{Content, check_sum};
use super::exports::{self, Handlers};
use super::fault::{ComponentFault, Reason};

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
    tasks: Tasks,
}

impl Compiler {
    pub(crate) fn new(engine: wasmtime::Engine, tasks: &Tasks) -> Self {
        Self {
            engine,
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
        self.aside(plan, move || compiler.compile(&owned, source))
            .await
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
        if is_sent && wasmtime::Engine::detect_precompiled(&bytes).is_some() {
            return Err(vec![Reason::new(
                ErrorCode::OtherEngine,
                "it is native code, which is taken from the file in hive.toml alone; send the .wasm it was made from",
            )]);
        }
        let component = self
            .read(&plan.path, &bytes)
            .map_err(|reason| vec![reason])?;
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
        const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
        match wasmtime::Engine::detect_precompiled(bytes) {
            Some(Precompiled::Component) => return self.read_precompiled(bytes),
            Some(Precompiled::Module) => {
                let text = "it is a precompiled core module, not a component";
                return Err(Reason::new(ErrorCode::CoreModule, text));
            }
            None => {}
        }
        if bytes.is_empty() {
            let text = "the file is empty; was its build interrupted?";
            return Err(Reason::new(ErrorCode::NotWebAssembly, text));
        }
        // Code that was sent has no name; text is recognised by its beginning.
        let is_text = path.extension().is_some_and(|extension| extension == "wat")
            || bytes.trim_ascii_start().starts_with(b"(");
        let bytes: Cow<'_, [u8]> = match is_text {
            true => binary(bytes)?,
            false => bytes.into(),
        };
        if bytes.starts_with(CORE_MODULE) {
            return Err(Reason::new(ErrorCode::CoreModule, core_module(&bytes)));
        }
        if !bytes.starts_with(b"\0asm") {
            let text = "it is not WebAssembly: it does not begin with \\0asm";
            return Err(Reason::new(ErrorCode::NotWebAssembly, text));
        }
        Component::new(&self.engine, &bytes).map_err(|error| not_compiled(&error))
    }

    #[expect(
        unsafe_code,
        reason = "native code is run as it stands in the file: a .cwasm is as trusted as the host's own binary, \
                  which docs/configuration.md says of `path`"
    )]
    fn read_precompiled(&self, bytes: &[u8]) -> Result<Component, Reason> {
        // SAFETY: the bytes were made by wasmtime (`detect_precompiled` has seen its mark), from a file
        // named by the operator, who could as well have named another binary to run. They are those
        // whose sum was checked: the file may be another by now.
        unsafe { Component::deserialize(&self.engine, bytes) }.map_err(|error| {
            let text = format!(
                "it was precompiled for another engine ({error:#}); name the .wasm it was made from"
            );
            Reason::new(ErrorCode::OtherEngine, text)
        })
    }
}

/// A component that is written as text, in binary.
#[cfg(feature = "wat")]
fn binary(text: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    wat::parse_bytes(text).map_err(|error| {
        let text = format!("it is not WebAssembly text: {error}");
        Reason::new(ErrorCode::NotWebAssembly, text)
    })
}

#[cfg(not(feature = "wat"))]
fn binary(_: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
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
