//! The octets under lapin: sockets, TLS, and the frames that are looked at on their way.

pub(crate) mod arrivals;
pub(crate) mod endings;
pub(crate) mod frame;
pub(crate) mod in_flight;
pub(crate) mod network;
pub(crate) mod posts;
pub(crate) mod screen;
pub(crate) mod socket;
pub(crate) mod tls;
mod transport;
mod waiting;
