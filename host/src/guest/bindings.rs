//! Generated from `wit/`: the contract as Rust types.

/// The world of every consumer. Parameters are borrowed, so that an envelope is lent to a
/// component without a copy on the host's side.
pub(super) mod consumer {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "consumer",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The world of a consumer with a lifecycle; only that interface is used from here, looked up by
/// its name beside the handler.
pub(super) mod managed {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "managed-consumer",
        exports: { default: async },
    });
}
