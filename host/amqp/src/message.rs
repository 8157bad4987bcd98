//! Messages as they come and go: headers, properties, copies, the broker's record of a death. Pure.

pub(crate) mod answered;
pub(crate) mod arrived;
pub(crate) mod bookkeeping;
pub(crate) mod broker_headers;
pub(crate) mod came_back;
pub(crate) mod copies;
pub(crate) mod death;
pub(crate) mod delay;
pub(crate) mod edit;
pub(crate) mod encode;
pub(crate) mod headers;
pub(crate) mod identity;
pub(crate) mod names;
pub(crate) mod octet_text;
pub(crate) mod original;
pub(crate) mod outgoing;
mod replies;
#[cfg(test)]
pub(crate) mod strategies;
pub(crate) mod waiting;
