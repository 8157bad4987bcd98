//! Compiles components ahead of time: to files for this machine's processor or another, or into the cache.

use std::path::PathBuf;

use anyhow::Context;
use hive_config::plan::ComponentPlan;
use hive_lifecycle::Tasks;
use wasmtime::Engine;

use super::cache::{cache_directory, open};
use super::code::{Compiler, Source};
use super::compiling::{Compiling, settings};
use super::cpu::Cpu;
use super::fault::ComponentFault;

/// Compiles components, and runs none of them.
#[derive(Clone)]
pub struct AheadOfTime {
    compiler: Compiler,
}

impl AheadOfTime {
    /// Compiles for this kind of processor.
    ///
    /// # Errors
    ///
    /// The engine cannot be made.
    pub fn new(cpu: Cpu, tasks: &Tasks) -> anyhow::Result<Self> {
        let mut config = settings();
        let functions = Compiling::Alone.set_up(&mut config)?;
        cpu.set_up(&mut config)?;
        let engine = Engine::new(&config)?;
        Ok(Self {
            compiler: Compiler::new(engine, functions, tasks),
        })
    }

    /// Compiles for this machine's processor and into the cache, whose folder is the second value.
    ///
    /// # Errors
    ///
    /// There is no cache.
    pub fn for_the_cache(tasks: &Tasks) -> anyhow::Result<(Self, PathBuf)> {
        let folder = cache_directory();
        let folder =
            folder.context("there is no folder for it: neither HIVE_CACHE_DIR nor HOME is set")?;
        open(&folder).map_err(anyhow::Error::from)?;
        Ok((Self::new(Cpu::NATIVE, tasks)?, folder))
    }

    /// The content of the `.cwasm` file for the component in the plan's file.
    ///
    /// # Errors
    ///
    /// It cannot be read, has another checksum than the plan wants, or does not compile.
    pub async fn compile(&self, plan: &ComponentPlan, cpu: Cpu) -> Result<Vec<u8>, ComponentFault> {
        self.compiler.ahead(plan, cpu).await
    }

    /// Has the cache keep the code of a component; gives the checksum of its file.
    ///
    /// # Errors
    ///
    /// As those of [`Self::compile`], and exports and imports that do not fit.
    pub async fn keep(&self, plan: &ComponentPlan) -> Result<String, ComponentFault> {
        let code = self.compiler.code(plan, Source::File).await?;
        Ok(code.hash.to_string())
    }
}
