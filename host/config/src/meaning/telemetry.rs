//! `[telemetry]`.

use std::sync::Arc;

use hive_core::codes::Code;

use super::Context;
use crate::keys::{RootKeys, TelemetryMeant};
use crate::plan::TelemetryPlan;
use crate::redact;
use crate::url::endpoint_or;

/// Stands for the port of an address without one, of which only the form is looked at here.
const ANY_PORT: u16 = 80;

/// `None` after a fault.
pub(super) fn plan(context: &mut Context<'_>) -> Option<TelemetryPlan> {
    let Some(node) = context.root.get(RootKeys::telemetry) else {
        return Some(TelemetryPlan::default());
    };
    let otlp = match node.get(TelemetryPlan::otlp) {
        None => None,
        Some(at) => {
            let url = at.as_text()?.trim().trim_end_matches('/');
            if let Some((message, remedy)) = fault_of(url) {
                let code = Code::BadForm;
                context.faults.error(code, at, message, remedy);
                return None;
            }
            Some(Arc::from(url))
        }
    };
    TelemetryPlan::of_table(Some(node), TelemetryMeant { otlp })
}

/// What is wrong with the address of a collector, and what to do. A credential in it is not repeated.
fn fault_of(url: &str) -> Option<(String, &'static str)> {
    const REMEDY: &str =
        "write it as in \"http://localhost:4318\"; `/v1/traces` and `/v1/metrics` are added to it";
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Some((
            format!("is not a URL over HTTP: {}", redact::quote(url)),
            REMEDY,
        ));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some((
            "has a user in front of the host, which no collector reads".to_owned(),
            "remove it; headers of every request, such as a token, are in OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
    match is_plain && !rest.contains(['?', '#']) && endpoint_or(authority, ANY_PORT).is_ok() {
        true => None,
        false => Some((
            format!("is not the address of a collector: {}", redact::quote(url)),
            REMEDY,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http_with_a_host() {
        for url in [
            "http://localhost:4318",
            "https://otel.example.com",
            "http://[::1]:4318",
            "http://[::1]",
            "https://collector/otlp",
        ] {
            assert_eq!(fault_of(url), None, "{url}");
        }
        for url in [
            "",
            "localhost:4318",
            "grpc://localhost:4317",
            "http://",
            "http://:4318",
            "http://host:port",
            "http://host:0",
            "http://ho st",
            "http://host/?a=b",
        ] {
            assert!(fault_of(url).is_some(), "{url}");
        }
        let (message, _) = fault_of("http://user:secret@host").unwrap();
        assert!(!message.contains("secret"));
    }
}
