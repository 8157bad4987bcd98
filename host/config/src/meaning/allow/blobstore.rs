//! `allow.blobstore`: the name of each container, and the URL of the place that it stands for.
//!
//! A URL holds no credentials. Where somebody wrote some, the error shows nothing of them.

use std::path::Path;

use crate::keys::allow::AllowPlan;
use crate::meaning::Context;
use crate::plan::{ContainerGrant, ObjectPlace, ObjectService};
use crate::redact;
use crate::written::Node;
use hive_core::codes::Code;

/// The longest prefix, in bytes: S3 has names of up to 1024, and something has to be left for the object's own.
const LONGEST_PREFIX: usize = 512;

/// The fault of an entry.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// Reads as a sentence after the key.
    is: String,
    remedy: &'static str,
    /// Whether the value may be shown.
    is_secret: bool,
}

const FORMS: &str = "write \"s3://BUCKET/PREFIX\", \"gs://BUCKET/PREFIX\", \"az://CONTAINER/PREFIX\" or \"file:DIRECTORY\"";
const NO_CREDENTIALS: &str = "write the bucket and the prefix alone, as in \"s3://bucket/prefix\"; the host takes credentials and the \
                              endpoint from its environment, as docs/object-stores.md says";

/// The grants. A container whose URL is faulty is left out, and the fault is reported.
pub(super) fn containers(context: &mut Context<'_>, allow: &Node) -> Vec<ContainerGrant> {
    let mut grants = Vec::new();
    for (name, node) in allow.named(AllowPlan::blobstore) {
        let Some(text) = node.as_text() else {
            continue;
        };
        let found = match name.is_empty() {
            true => Err(fault(
                "has a container without a name",
                "write the name that the component opens before the `=`",
            )),
            false => place(text, context.base(node)),
        };
        match found {
            Ok(place) => {
                if let ObjectPlace::Directory(path) = &place {
                    super::is_a_directory(context, node, path);
                }
                grants.push(ContainerGrant {
                    container: name.as_str().into(),
                    place,
                });
            }
            Err(Fault {
                is,
                remedy,
                is_secret,
            }) => {
                let message = match is_secret {
                    true => is,
                    false => format!("{is}: {}", redact::quote(text)),
                };
                if is_secret {
                    hide(context, node, text);
                }
                context.faults.error(Code::BadGrant, node, message, remedy);
            }
        }
    }
    grants
}

/// Has the excerpt of the file show nothing of what may be a secret in the value.
fn hide(context: &mut Context<'_>, node: &Node, text: &str) {
    context.faults.secret(node.span.clone());
    // What follows a `?` is struck out too, where the value stands in the file as it is.
    if let (Some(at), true) = (text.find('?'), node.span.len() == text.len() + 2) {
        context
            .faults
            .secret(node.span.start + 1 + at..node.span.end - 1);
    }
}

fn fault(is: impl Into<String>, remedy: &'static str) -> Fault {
    Fault {
        is: is.into(),
        remedy,
        is_secret: false,
    }
}

/// The place that a URL names; a relative path starts at `base`.
fn place(text: &str, base: &Path) -> Result<ObjectPlace, Fault> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(fault("is not the URL of an object store", FORMS));
    };
    let service = match scheme {
        "file" => return directory(rest, base),
        "s3" => ObjectService::S3,
        "gs" => ObjectService::Gcs,
        "az" => ObjectService::Azure,
        // Whatever it is may hold a key.
        _ => {
            return Err(Fault {
                is_secret: rest.contains(['@', '?']),
                ..fault("has a scheme that is not s3, gs, az or file", FORMS)
            });
        }
    };
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(Fault {
            is_secret: rest.contains(['@', '?']),
            ..fault("is not the URL of an object store", FORMS)
        });
    };
    if rest.contains(['@', '?', '#']) {
        return Err(Fault {
            is_secret: true,
            ..fault(
                "has more than a bucket and a prefix: no `@`, `?` or `#` may be in it",
                NO_CREDENTIALS,
            )
        });
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket(bucket, service) {
        return Err(fault(
            "does not name a bucket",
            "write the name of the bucket after the `//`: 3 to 63 lower-case letters, digits and hyphens, for s3 and gs \
             dots too, and a letter or a digit at both ends",
        ));
    }
    let prefix = prefix.trim_end_matches('/');
    if !is_prefix(prefix) {
        return Err(fault(
            "has a prefix that no object can have",
            "write parts that are not empty, `.` or `..`, with `/` between them, as in \"s3://bucket/year/2026\"; at most \
             512 bytes",
        ));
    }
    Ok(ObjectPlace::Bucket {
        service,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

fn directory(rest: &str, base: &Path) -> Result<ObjectPlace, Fault> {
    // RFC 8089: `file:/a`, and `file:///a` with an empty host.
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return Err(fault(
                "names another machine",
                "write the directory of this machine, as in \"file:/var/lib/objects\", or \"file:objects\" for one beside \
                 this file",
            ));
        }
        None => rest,
    };
    if path.is_empty() || path.contains('\0') {
        return Err(fault("does not name a directory", FORMS));
    }
    Ok(ObjectPlace::Directory(base.join(path)))
}

fn is_bucket(name: &str, service: ObjectService) -> bool {
    let is_end = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let is_inner = |character: char| match character {
        '-' => true,
        '.' => service != ObjectService::Azure,
        '_' => service == ObjectService::Gcs,
        character => is_end(character),
    };
    (3..=63).contains(&name.len())
        && name.chars().all(is_inner)
        && name.starts_with(is_end)
        && name.ends_with(is_end)
}

fn is_prefix(prefix: &str) -> bool {
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_ascii_control())
    };
    prefix.is_empty() || (prefix.len() <= LONGEST_PREFIX && prefix.split('/').all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, Fault> {
        place(text, Path::new("/etc/hive")).map(|place| place.to_string())
    }

    #[test]
    fn a_url_is_a_bucket_with_a_prefix_or_a_directory() {
        for (text, meant) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://my.bucket-1/a/b/", "s3://my.bucket-1/a/b"),
            ("gs://my_bucket/a b", "gs://my_bucket/a b"),
            ("az://container/a", "az://container/a"),
            ("file:/var/objects", "file:/var/objects"),
            ("file:///var/objects", "file:/var/objects"),
            ("file:objects", "file:/etc/hive/objects"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn whatever_else_it_is_has_a_fault() {
        for (text, word) in [
            ("bucket", "not the URL"),
            ("s3:bucket", "not the URL"),
            ("http://bucket/a", "scheme"),
            ("s3://", "bucket"),
            ("s3:///a", "bucket"),
            ("s3://Bucket", "bucket"),
            ("s3://ab", "bucket"),
            ("s3://-bucket", "bucket"),
            ("s3://my_bucket", "bucket"),
            ("az://my.container", "bucket"),
            ("s3://bucket//a", "prefix"),
            ("s3://bucket/a/../b", "prefix"),
            ("file:", "directory"),
            ("file://host/a", "another machine"),
        ] {
            let fault = shown(text).unwrap_err();
            assert!(fault.is.contains(word), "{text}: {}", fault.is);
            assert!(!fault.is_secret, "{text}");
        }
    }

    #[test]
    fn what_may_hold_credentials_is_never_shown() {
        for text in [
            "s3://AKIA:secret@bucket/a",
            "s3://bucket/a?X-Amz-Signature=secret",
            "https://account.blob.core.windows.net/c?sig=secret",
            "s3:AKIA:secret@bucket",
        ] {
            assert!(shown(text).unwrap_err().is_secret, "{text}");
        }
    }
}
