//! The host's code for AMQP's frames, tables and properties, the broker in the process, and what must hold for
//! every input.
//!
//! It is the host's sources that are compiled here, not the host: that would bring wasmtime along, and
//! make public what is private. A source that comes to need another is to be listed here as well.

#![expect(dead_code, reason = "the host uses all of it; the targets use a part")]

#[path = "../../host/src/message.rs"]
pub mod message;
#[path = "../../host/src/policy.rs"]
pub mod policy;

/// The host's room of that name, as far as it needs no connection.
#[path = "../../host/src/amqp"]
pub mod amqp {
    mod bookkeeping;
    mod broker_headers;
    mod copies;
    mod death;
    mod delay;
    mod encode;
    mod frame;
    mod headers;
    mod identity;
    mod octet_text;
    mod original;
    mod outgoing;
    mod screen;

    #[path = "../../../fuzz/src/frames.rs"]
    pub mod frames;
    #[path = "../../../fuzz/src/messages.rs"]
    pub mod messages;
}

pub mod broker;
mod wire;
