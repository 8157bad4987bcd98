//! Deliveries as they are settled, as server-sent events (HTML Standard, "Server-sent events"): what `hive-host tail` and
//! the page show.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Sources;
use super::deliveries::consumer;
use super::query::{flag, pairs};
use super::wire::{DeliveryView, ErrorView};
use crate::tail::{Condition, Filter, Sample, Watch};

/// The most deliveries that are sent at once, and the time between two such times: 500 a second. The times are the same for
/// all clients, so that those who see all deliveries see the same ones, and each is written once.
const AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The first of those times.
static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long nothing is sent before a comment says that the host is there.
const SILENCE: Duration = Duration::from_secs(15);

/// Ends the streams when the host closes.
#[derive(Clone)]
pub(super) struct Close(pub(super) CancellationToken);

/// What the query asks for.
#[derive(Debug, Default)]
struct Asked {
    filter: Filter,
    with_messages: bool,
}

/// A stream to one client.
struct Stream {
    watch: Watch,
    close: CancellationToken,
    /// When the next deliveries may be sent.
    next: Instant,
}

/// Each delivery that is settled from now on and passes the filter.
pub(super) async fn deliveries(
    State(sources): State<Sources>,
    Extension(Close(close)): Extension<Close>,
    uri: Uri,
) -> Response {
    let asked = match asked(&uri) {
        Ok(asked) => asked,
        Err(error) => return refused(StatusCode::BAD_REQUEST, error),
    };
    let Asked {
        filter,
        with_messages,
    } = asked;
    if !sources.shows_bodies && (with_messages || filter.asks_content()) {
        let error = "`host.admin_bodies` is false on this host: bodies and headers are not shown or asked for";
        return refused(StatusCode::FORBIDDEN, error.to_owned());
    }
    if let Some(name) = &filter.consumer
        && let Err(unknown) = consumer(&sources, name)
    {
        return (StatusCode::NOT_FOUND, Json(unknown)).into_response();
    }
    let watch = match sources.tail.watch(filter, with_messages) {
        Ok(watch) => watch,
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    let began = stream::once(async { Ok::<_, Infallible>(": watching\n\n".to_owned()) });
    let stream = Stream {
        watch,
        close,
        next: Instant::now(),
    };
    let events = stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(stream::StreamExt::chain(began, events)),
    )
        .into_response()
}

impl Stream {
    /// The next events; `None` once the host closes.
    async fn next(&mut self) -> Option<String> {
        let Self { watch, close, next } = self;
        let sample = async {
            sleep_until(*next).await;
            timeout(SILENCE, watch.next(AT_ONCE)).await
        };
        let sample = tokio::select! {
            biased;
            () = close.cancelled() => return None,
            sample = sample => sample,
        };
        *next = after(Instant::now());
        Some(match sample {
            Ok(sample) => events(&sample),
            Err(_) => ": nothing to report\n\n".to_owned(),
        })
    }
}

/// The next of those times.
fn after(now: Instant) -> Instant {
    let first = *FIRST;
    let since = now.saturating_duration_since(first).as_millis() / PAUSE.as_millis();
    let times = u32::try_from(since).unwrap_or(u32::MAX).saturating_add(1);
    first + PAUSE.saturating_mul(times)
}

/// A sample as events.
fn events(Sample { reports, left_out }: &Sample) -> String {
    let mut events = String::new();
    for report in reports {
        let data = report
            .text(|report| serde_json::to_string(&DeliveryView::from(report)).unwrap_or_default());
        // A String takes all.
        let _written = write!(events, "event: delivery\ndata: {data}\n\n");
    }
    if *left_out > 0 {
        let _written = write!(
            events,
            "event: left-out\ndata: {{\"deliveries\":{left_out}}}\n\n"
        );
    }
    events
}

/// Reads the query; a key that there is not is a fault.
fn asked(uri: &Uri) -> Result<Asked, String> {
    let mut asked = Asked::default();
    for (name, value) in pairs(uri)? {
        match name {
            "consumer" => asked.filter.consumer = Some(value),
            "failed" => asked.filter.failed = flag(name, &value)?,
            "where" => asked.filter.conditions.push(Condition::parse(&value)?),
            "messages" => asked.with_messages = flag(name, &value)?,
            _ => return Err(format!("there is no {name:?} in a query here")),
        }
    }
    Ok(asked)
}

fn refused(status: StatusCode, error: String) -> Response {
    (status, Json(ErrorView::new(None, error))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, String> {
        asked(
            &format!("/v1/deliveries?{query}")
                .parse()
                .expect("it is a URI"),
        )
    }

    #[test]
    fn a_query_says_which_deliveries() {
        let asked = read("consumer=a%26b&failed=true&where=error~no+tea&where=class=error")
            .expect("it makes sense");
        let conditions = ["error~no tea", "class=error"].map(Condition::parse);
        let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
        assert_eq!(
            asked.filter,
            Filter {
                consumer: Some("a&b".to_owned()),
                failed: true,
                conditions: conditions.expect("they do"),
            }
        );
        assert!(!asked.with_messages);
    }

    #[test]
    fn what_makes_no_sense_is_answered() {
        for (query, words) in [
            ("wher=x", "there is no \"wher\""),
            ("where=clas=x", "did you mean `class`"),
            ("where=slower~1s", "takes = alone"),
            ("messages=1", "`messages` is to be true or false"),
        ] {
            let fault = read(query).expect_err(query);
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn the_times_at_which_deliveries_are_sent_are_those_of_all() {
        let now = *FIRST + Duration::from_millis(250);
        let next = *FIRST + Duration::from_millis(300);
        assert_eq!(after(now), next);
        assert_eq!(after(next), next + PAUSE);
    }

    #[test]
    fn what_was_left_out_is_an_event() {
        let sample = Sample {
            reports: Vec::new(),
            left_out: 120,
        };
        let expected = "event: left-out\ndata: {\"deliveries\":120}\n\n";
        assert_eq!(events(&sample), expected);
    }
}
