//! The octets of AMQP 0-9-1: frames in both directions, tables, properties.
//!
//! Methods are read and written by `amq-protocol`. Content headers stay as the publisher wrote them: a
//! broker hands out what it was given, in the same order and of the same types, and only puts in its own
//! headers.

mod decoder;
mod encoder;
mod properties;
mod table;
mod values;

pub(crate) use self::decoder::{Decoder, Frame};
pub(crate) use self::encoder::{content, heartbeat, method};
pub(crate) use self::properties::{Field, Properties};
pub(crate) use self::values::{boolean, described, integer, kind_of, text};
