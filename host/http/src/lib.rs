//! HTTP in: a request is published, or handled by a component, and answered once the broker has confirmed what came of it.
//!
//! **An answer never says that a message is stored when it is not.** A 2xx is sent after the broker's confirmation of
//! a mandatory, persistent publication, and at no other time. Every other answer says that the message is not stored,
//! or that this is not known.
//!
//! What is decided about a request is pure: `routing`, `body`, `form`, `publication`, `cors` and `answer`.
//! `service` carries it out for one request, `component` what a component answers, `server` has the connections.

mod answer;
mod body;
mod claim;
mod component;
mod cors;
mod form;
mod keys;
mod memory;
mod publication;
mod routing;
mod server;
mod service;
mod table;
mod token;

pub use self::component::Component;
pub use self::keys::{Claim, Keys, Lease, Promised};
pub use self::server::{Listener, Server};
pub use self::table::Helps;
