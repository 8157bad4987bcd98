//! Whether a request means this host, which the headers of the command line say. On one machine there may be several,
//! and a command for one must not be carried out by another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hive_core::codes::Code;
use percent_encoding::percent_decode;

use super::guard::Guard;
use super::wire::ErrorView;

/// The absolute path of the hive.toml that is meant, percent-encoded (RFC 3986, section 2.1).
pub const FILE: &str = "hive-file";
/// The `host.name` that is meant, percent-encoded.
pub const HOST: &str = "hive-host";

/// Which host this is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `host.name`.
    pub host: Arc<str>,
    /// The hive.toml, without links.
    pub file: PathBuf,
}

impl Identity {
    /// Why a request with these headers is another host's. A request without them means whichever host listens.
    ///
    /// Only where the client may know files does the host look at its own: the answer would otherwise say which
    /// paths there are on this machine. The name of the host decides then, which every reader sees.
    fn objection(&self, headers: &HeaderMap, shows_files: bool) -> Option<String> {
        let host = decoded(headers, HOST)?;
        let file = decoded(headers, FILE)?;
        let has_name = *host == *self.host;
        if !shows_files {
            return (!has_name).then(|| {
                format!(
                    "this is the host {:?}, and the command is for the host {host:?}; is that one running?",
                    self.host
                )
            });
        }
        // The same file may have another path elsewhere, as in a container; here it is another one.
        let is_another = match std::fs::canonicalize(Path::new(&file)) {
            Ok(path) => path != self.file,
            Err(_) => !has_name,
        };
        is_another.then(|| {
            format!(
                "this is the host {:?} of {}, and the command is for the host {host:?} of {file}; is that one running?",
                self.host,
                self.file.display()
            )
        })
    }
}

fn decoded(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = percent_decode(headers.get(name)?.as_bytes()).decode_utf8();
    Some(value.ok()?.into_owned())
}

/// Lets a request pass that means this host.
pub(super) async fn intended(
    State((identity, guard)): State<(Identity, Guard)>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    match identity.objection(headers, guard.shows_files(headers)) {
        None => next.run(request).await,
        Some(text) => (
            StatusCode::CONFLICT,
            Json(ErrorView::new(Code::WrongHost, text)),
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objection(file: &str, host: &str) -> Option<String> {
        objection_to(file, host, true)
    }

    fn objection_to(file: &str, host: &str, shows_files: bool) -> Option<String> {
        let identity = Identity {
            host: "orders".into(),
            file: std::fs::canonicalize(env!("CARGO_MANIFEST_DIR"))
                .unwrap()
                .join("Cargo.toml"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(FILE, file.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        identity.objection(&headers, shows_files)
    }

    #[test]
    fn a_client_that_may_not_know_files_learns_of_none() {
        let paths = ["Cargo.toml", "src%2Fmain.rs", "not-there.toml"];
        for path in paths.map(|path| format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))) {
            assert_eq!(objection_to(&path, "orders", false), None, "{path}");
            let told = objection_to(&path, "parcels", false).expect("it is another host");
            assert!(
                told.contains("orders") && told.contains("parcels"),
                "{told}"
            );
            assert!(
                !told.contains(".toml") && !told.contains("main.rs"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_file_that_is_here_and_another_is_another_hosts() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(objection(here, "orders"), None);
        // The name in the file may have changed since.
        assert_eq!(objection(here, "renamed"), None);
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/src%2Fmain.rs");
        let told = objection(other, "orders").expect("it is another file");
        assert!(
            told.contains("Cargo.toml") && told.contains("src/main.rs"),
            "{told}"
        );
    }

    #[test]
    fn a_file_of_another_machine_is_told_by_the_name_of_the_host() {
        assert_eq!(objection("/not/there/hive.toml", "orders"), None);
        assert!(objection("/not/there/hive.toml", "parcels").is_some());
    }

    #[test]
    fn a_request_that_says_nothing_passes() {
        let identity = Identity {
            host: "orders".into(),
            file: PathBuf::new(),
        };
        assert_eq!(identity.objection(&HeaderMap::new(), true), None);
    }
}
