//! `wasi:blobstore`: the containers that `allow.blobstore` of the component names.
//!
//! The interface is that of the proposal: `write-data` names the object, the stream of the value takes its content, and
//! `finish` makes it appear. Credentials and addresses are `hive-objects`' own; a component knows names.
//!
//! Everything ends before the call does, so that the component and the log get a reason. A store that was away during
//! a call is remembered for its end: a call that fails then is no failure of the component.

mod access;
mod bindings;
mod containers;
mod resources;
mod running;
mod streams;
mod values;

use wasmtime::component::Linker;

pub(crate) use self::access::{Access, Blobstore, BlobstoreView};
use self::bindings::wasi::blobstore::{blobstore, container, types};

pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: BlobstoreView + 'static,
{
    types::add_to_linker::<_, Access>(linker, T::blobstore)?;
    container::add_to_linker::<_, Access>(linker, T::blobstore)?;
    blobstore::add_to_linker::<_, Access>(linker, T::blobstore)
}
