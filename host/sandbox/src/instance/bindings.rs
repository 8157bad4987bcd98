//! Generated from `wit/`: the contract as Rust types.

/// A world of the host's own, with everything that a component may export: each interface is looked
/// up by its name, and the types are there once. Parameters are borrowed, so that an envelope is lent
/// to a component without a copy on the host's side.
pub(crate) mod contract {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package hive:host;
            world any-consumer {
                export hive:consumer/handler@0.1.0;
                export hive:consumer/batch-handler@0.1.0;
                export hive:consumer/lifecycle@0.1.0;
            }
        ",
        world: "hive:host/any-consumer",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
