//! `[components.NAME.allow]`.

use std::path::PathBuf;
use std::sync::Arc;

use super::Shape;
use crate::plan::{ContainerGrant, HttpGrant, PublishGrant};

table! {
    /// `[components.NAME.allow]`.
    #[derive(Clone, Default, PartialEq, Eq)]
    pub struct AllowPlan, meant AllowMeant {
        /// Environment variables that the component sees, with their values at start. Variables that are not set are
        /// left out.
        env => Vec<(String, String)> as List(&Shape::Text) [hidden], else "empty", written "array of names";

        /// The hosts that the component may reach by HTTP through `wasi:http`, as in `"api.example.com:443"` or
        /// `"*.example.com"`. See [`allow.http`](#allowhttp).
        http => Arc<[HttpGrant]> as List(&Shape::Text) [hidden], else "empty: nowhere", written "array of hosts";

        /// Directories that the component sees.
        dirs => Vec<DirGrant> as List(&Shape::Table(DirGrant::KEYS)) [hidden],
            else "empty: no files", written "array of `{ host, guest, write }`";

        /// Buckets of the [store](store.md) that the component may open through `wasi:keyvalue`. Components that name
        /// the same bucket share it.
        keyvalue: Arc<[Arc<str>]> as List(&Shape::Name) [hidden], else "empty", written "array of names";

        /// Where the component may publish: `EXCHANGE:ROUTING-KEY` with `*` and `?`; an empty array is nowhere. See
        /// [`allow.publish`](#allowpublish).
        publish => Option<Vec<PublishGrant>> as List(&Shape::Text) [hidden],
            else "not set: anywhere", written "array of patterns";

        /// Where the component may send requests whose replies it waits for: `EXCHANGE:ROUTING-KEY` with `*` and `?`.
        /// See [requests](requests.md).
        request => Arc<[PublishGrant]> as List(&Shape::Text) [hidden], else "empty: nowhere", written "array of patterns";
        /// Containers that the component may open through `wasi:blobstore`, each with the place in an
        /// [object store](object-stores.md) that it stands for: `"s3://BUCKET/PREFIX"`, `"gs://…"`, `"az://…"` or
        /// `"file:DIRECTORY"`.
        blobstore => Arc<[ContainerGrant]> as Each(&Shape::Text) [hidden], else "empty", written "table of URLs";
    }
}

table! {
    /// One entry of `allow.dirs`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DirGrant, meant DirMeant {
        /// The directory; a relative path starts at this file.
        host => PathBuf as Text [required];

        /// The absolute path of the directory inside the component; no two are the same.
        guest => String as Text [required];

        /// Whether the component may change it.
        write: bool = false;
    }
}
