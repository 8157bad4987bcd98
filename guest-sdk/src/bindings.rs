//! Generated from the contract: one module for each world, with shared types.
//!
//! The SDK uses the generated types directly, so that a call converts nothing. The modules
//! `delivery`, `message`, `publication` and `action` add the methods that an author of a consumer needs.

#![allow(
    missing_docs,
    reason = "generated; the contract is documented in wit/consumer.wit"
)]
#![allow(
    unsafe_code,
    reason = "generated; a component is called through its core module's memory"
)]

pub mod consumer {
    wit_bindgen::generate!({
        path: "../wit",
        world: "consumer",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "hive_guest::bindings::consumer",
    });
}

pub mod batch_consumer {
    wit_bindgen::generate!({
        path: "../wit",
        world: "batch-consumer",
        with: { "hive:consumer/types@0.1.0": crate::bindings::consumer::hive::consumer::types },
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "hive_guest::bindings::batch_consumer",
    });
}

/// A world of the SDK itself. Exported together with the world of the handler, it forms a
/// managed-consumer.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package hive:guest;
            world lifecycle {
                export hive:consumer/lifecycle@0.1.0;
            }
        ",
        world: "hive:guest/lifecycle",
        with: { "hive:consumer/types@0.1.0": generate },
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "hive_guest::bindings::lifecycle",
    });
}

#[cfg(target_family = "wasm")]
pub(crate) mod configured {
    wit_bindgen::generate!({
        path: "wit",
        world: "configured",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
pub(crate) mod keeping {
    wit_bindgen::generate!({
        path: "wit",
        world: "keeping",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
pub(crate) mod requesting {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package hive:guest;
            world requesting {
                import hive:consumer/requests@0.1.0;
            }
        ",
        world: "hive:guest/requesting",
        with: {
            "hive:consumer/types@0.1.0": crate::bindings::consumer::hive::consumer::types,
            "hive:consumer/requests@0.1.0": generate,
        },
    });
}

#[cfg(target_family = "wasm")]
pub(crate) mod storing {
    wit_bindgen::generate!({
        path: "wit",
        world: "storing",
        generate_all,
    });
}
