//! The page, as the binary carries it. Its source is in `host/page`, and `scripts/page` builds it.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Sources;

const HTML: &[u8] = include_bytes!("../../page/bundle/index.html");
/// Compressed: every browser takes gzip.
const SCRIPT: &[u8] = include_bytes!("../../page/bundle/page.js.gz");
const STYLE: &[u8] = include_bytes!("../../page/bundle/page.css.gz");

pub(super) fn routes() -> Router<Sources> {
    Router::new()
        .route("/", get(html))
        .route("/page.js", get(script))
        .route("/page.css", get(style))
}

async fn html() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], HTML).into_response()
}

async fn script() -> Response {
    compressed("text/javascript; charset=utf-8", SCRIPT)
}

async fn style() -> Response {
    compressed("text/css; charset=utf-8", STYLE)
}

fn compressed(kind: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_ENCODING, "gzip"),
        // Another version of the host has another one under the same name.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_small() {
        let bytes = HTML.len() + SCRIPT.len() + STYLE.len();
        assert!(bytes <= 150 << 10, "{bytes} bytes");
    }

    #[test]
    fn the_html_has_no_script_and_no_style_of_its_own() {
        let html = str::from_utf8(HTML).expect("it is text");
        assert!(
            !html.contains("<style") && !html.contains(" style="),
            "{html}"
        );
        for script in html.split("<script").skip(1) {
            assert!(
                script.starts_with(" type=\"module\" src=\"/page.js\"></script>"),
                "{html}"
            );
        }
    }
}
