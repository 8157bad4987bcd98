//! `wasi:filesystem`: the directories that `allow.dirs` names, and nothing outside of them. wasmtime finds
//! paths that lead out, by `..` or by a link; this module logs them.

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code;
use hive_telemetry::{Capability, CapabilityDenied};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView};

use super::reporting::{Quoted, Reporting};
use super::shadow;

type Dir = Resource<Descriptor>;

/// Opens the directories of the plan.
pub(crate) fn open(plan: &ComponentPlan, context: &mut WasiCtxBuilder) -> Result<(), String> {
    for dir in &plan.allow.dirs {
        let permissions = if dir.write {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        context
            .preopened_dir(&dir.host, &dir.guest, permissions)
            .map_err(|error| {
                format!(
                    "the directory {} of `components.{}.allow.dirs` cannot be opened: {error:#}",
                    dir.host.display(),
                    plan.name
                )
            })?;
    }
    Ok(())
}

/// Wraps wasmtime's functions that take a path, to log denied paths.
pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: Reporting + WasiView + 'static,
{
    linker
        .instance("wasi:filesystem/preopens@0.2.12")?
        .func_wrap(
            "get-directories",
            |mut store: StoreContextMut<'_, T>, (): ()| {
                let state = store.data_mut();
                let directories = state.filesystem().get_directories()?;
                if directories.is_empty() {
                    state.telemetry().no_directories();
                }
                Ok((directories,))
            },
        )?;
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, parameters| {
        let (dir, follow, path, how, flags): (Dir, PathFlags, String, OpenFlags, DescriptorFlags) =
            parameters;
        Box::new(async move {
            let asked = path.clone();
            let opened = store
                .data_mut()
                .filesystem()
                .open_at(dir, follow, path, how, flags)
                .await;
            told(&mut store, "to open", &asked, opened)
        })
    })?;
    types.func_wrap_async(
        "[method]descriptor.create-directory-at",
        |mut store, (dir, path): (Dir, String)| {
            Box::new(async move {
                let asked = path.clone();
                let mut files = store.data_mut().filesystem();
                let made = files.create_directory_at(dir, path).await;
                told(&mut store, "to make the directory", &asked, made)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.remove-directory-at",
        |mut store, (dir, path): (Dir, String)| {
            Box::new(async move {
                let asked = path.clone();
                let mut files = store.data_mut().filesystem();
                let removed = files.remove_directory_at(dir, path).await;
                told(&mut store, "to remove the directory", &asked, removed)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.unlink-file-at",
        |mut store, (dir, path): (Dir, String)| {
            Box::new(async move {
                let asked = path.clone();
                let mut files = store.data_mut().filesystem();
                let removed = files.unlink_file_at(dir, path).await;
                told(&mut store, "to remove", &asked, removed)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.rename-at",
        |mut store, (from, path, to, new): (Dir, String, Dir, String)| {
            Box::new(async move {
                let asked = format!("{path} to {new}");
                let mut files = store.data_mut().filesystem();
                let renamed = files.rename_at(from, path, to, new).await;
                told(&mut store, "to rename", &asked, renamed)
            })
        },
    )?;
    types.func_wrap_async("[method]descriptor.link-at", |mut store, parameters| {
        let (from, follow, path, to, new): (Dir, PathFlags, String, Dir, String) = parameters;
        Box::new(async move {
            let asked = format!("{path} as {new}");
            let mut files = store.data_mut().filesystem();
            let linked = files.link_at(from, follow, path, to, new).await;
            told(&mut store, "to link", &asked, linked)
        })
    })?;
    types.func_wrap_async(
        "[method]descriptor.symlink-at",
        |mut store, (dir, target, path): (Dir, String, String)| {
            Box::new(async move {
                let asked = format!("{target} as {path}");
                let mut files = store.data_mut().filesystem();
                let linked = files.symlink_at(dir, target, path).await;
                told(&mut store, "to link", &asked, linked)
            })
        },
    )
}

/// The result for the component; a denial is logged first.
fn told<A>(
    store: &mut StoreContextMut<'_, impl Reporting>,
    verb: &str,
    path: &str,
    answer: FsResult<A>,
) -> wasmtime::Result<(Result<A, ErrorCode>,)> {
    let code = match answer {
        Ok(value) => return Ok((Ok(value),)),
        Err(error) => error.downcast()?,
    };
    if matches!(code, ErrorCode::NotPermitted | ErrorCode::Access) {
        let state = store.data_mut();
        if shadow::refused(state.noting(), "changes files, or leaves its directories").is_some() {
            return Ok((Err(code),));
        }
        state.telemetry().denied(CapabilityDenied {
            capability: Capability::Dirs,
            code: Code::FilesDenied.as_str(),
            asked: &format_args!("{verb} {}", Quoted(path)),
            reason: &format_args!(
                "it leads out of the directory, or would change one that is read-only; \
                 `components.{}.allow.dirs` names the directories, and `write = true` those to change",
                state.component()
            ),
        });
    }
    Ok((Err(code),))
}
