//! What wasmtime makes of the interfaces.

wasmtime::component::bindgen!({
    path: ["../../guest-sdk/wit/deps/wasi-io.wit", "../../guest-sdk/wit/deps/wasi-blobstore"],
    world: "wasi:blobstore/imports",
    imports: { default: async | trappable },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:blobstore/types.outgoing-value": crate::capability::blobstore::resources::Outgoing,
        "wasi:blobstore/types.incoming-value": crate::capability::blobstore::resources::Incoming,
        "wasi:blobstore/container.container": hive_objects::Container,
        "wasi:blobstore/container.stream-object-names":
            crate::capability::blobstore::resources::Listing,
    },
});
