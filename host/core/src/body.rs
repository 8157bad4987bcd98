//! The body of a message: bytes that clones share.

pub use bytes::Bytes as Body;
