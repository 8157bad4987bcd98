//! The keys of objects that a case gives or expects.

use super::TEXT;
use crate::keys::{Key, Shape, key};

/// An object that is there before the first call.
pub(super) const OBJECT: &[Key] = &[
    key("body", Shape::Verbatim, "The content as text."),
    key("body-base64", Shape::Verbatim, "The content as base64."),
    key(
        "body-json",
        Shape::Json,
        "The content as a value that becomes JSON.",
    ),
    key(
        "body-file",
        Shape::Verbatim,
        "A file that is the content, relative to the test file.",
    ),
];

/// How an object must be. The content of one whose name ends in `.gz` is compared unpacked.
pub(super) const EXPECTED_OBJECT: &[Key] = &[
    key(
        "container",
        Shape::Verbatim,
        "The container, as `allow.blobstore` names it. Default: the only one.",
    ),
    key(
        "name",
        TEXT,
        "The name of the object. An object is counted for one expectation only.",
    )
    .required(),
    key(
        "absent",
        Shape::Boolean,
        "Whether there must be no such object. Default: false.",
    ),
    key(
        "body",
        Shape::Verbatim,
        "The content as text, unpacked if the name ends in `.gz`.",
    ),
    key(
        "body-base64",
        Shape::Verbatim,
        "The content as it is, to the byte, as base64.",
    ),
    key(
        "body-file",
        Shape::Verbatim,
        "A file that the content, as it is, is equal to, relative to the test file.",
    ),
    key(
        "body-json",
        Shape::Json,
        "The content, unpacked, is JSON and equal to this, whatever its spaces and the order of its keys.",
    ),
    key(
        "body-subset",
        Shape::Json,
        "The content, unpacked, is JSON and has at least this in it.",
    ),
    key(
        "body-regex",
        Shape::Verbatim,
        "A regular expression that matches in the content, unpacked.",
    ),
    key(
        "body-schema",
        Shape::Json,
        "The content, unpacked, is JSON that conforms to this JSON Schema: a table, or the file that holds it.",
    ),
];
