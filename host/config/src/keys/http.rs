//! `[http]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hive_routes::Template;

use super::consuming::RateKeys;
use super::tls::ServerTlsKeys;
use super::{LEAST_MEMORY, LONGEST, Shape};
use crate::diff::differing::Within;
use crate::plan::{BodyKind, HttpMethod, Password, RatePlan, Segment, ServerTlsPlan};

/// What a head needs at the least, and the smallest buffer of the server.
const SMALLEST_HEAD: u64 = 8 * 1024;

/// A file descriptor each.
const MOST_CONNECTIONS: i64 = 1_000_000;

table! {
    /// `[http]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct HttpPlan, meant HttpMeant {
        /// The address on which the host takes requests. Port 0 takes any that is free.
        listen => SocketAddr as Text [required restart],
            written "address with a port",
            from |http| http.listen.to_string();

        /// Certificate and key: requests come over HTTPS, and without TLS are not taken. See [access](http.md#access).
        tls => Option<ServerTlsPlan> as Table(ServerTlsKeys::KEYS) [hidden], else "HTTP without TLS",
            from |http| Within(http.tls.as_ref());

        /// The routes by method and path, as in `[http.routes."POST /api/t"]`. At least one is required.
        routes -> () as Named(HttpRoutePlan::KEYS), written "tables, each named by method and path";

        /// Time for a whole request: its body, and its confirmation by the broker. A connection on which no request
        /// begins for this long is closed.
        timeout: Duration as Duration(1, LONGEST) = "30s" [restart];

        /// Connections at once. Further ones wait until one of them ends.
        max_connections: u32 as Integer(1, MOST_CONNECTIONS) = 4096 [restart];

        /// The largest head of a request: its first line and its headers.
        max_header: u64 as Size(SMALLEST_HEAD) = "16KiB" [restart];

        /// Bodies of requests in the host at once, over all routes. A request beyond that is answered with 503.
        memory_in_flight: u64 as Size(LEAST_MEMORY) = "256MiB" [restart];
    }
    beside {
        /// By their names in the file.
        routes: BTreeMap<Arc<str>, HttpRoutePlan>,
    }
}

table! {
    /// `publish_dedup` of a route.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct HttpDedupPlan {
        /// How long a key is remembered.
        period: Duration as Duration(1, LONGEST) = "1h";

        /// Keys remembered at once; a new key replaces the oldest.
        max_keys: u64 as Integer(1, i64::MAX) = 1000000;
    }
}

table! {
    /// `[http.routes."METHOD /path"]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct HttpRoutePlan, meant HttpRouteMeant {
        /// The connection to the broker that gets the messages.
        connection => Arc<str> as Text = "main", written "name of a connection";

        /// The component that decides over a request: it gets it as a delivery, and its answer says what is published and
        /// what the client is told. See [components](http.md#components).
        component => Option<Arc<str>> as Text, else "none: the request is published", written "name of a component";

        /// How many requests `component` handles at once. Further ones wait.
        concurrency: u16 as Integer(1, u16::MAX as i64) = 16;

        /// The exchange to publish to; `""` is the default exchange, which routes to the queue named by the routing key.
        /// Required without `component`; with it, the exchange of the delivery.
        exchange => Arc<str> as Text, else "`\"\"` with `component`";

        /// The routing key: a [text with values](http.md#values-of-the-request) of the request. Required without
        /// `component`; with it, the routing key of the delivery.
        routing_key => Arc<Template> as Text, else "`\"\"` with `component`", from |route| route.routing_key.source();

        /// Headers of the message, each a [text with values](http.md#values-of-the-request) of the request.
        headers => Arc<[(String, Template)]> as Each(&Shape::Text) [hidden],
            else "no headers but [those of traces](http.md#the-message)", written "table of strings";

        /// The bodies that the route takes, by their content type: `"json"`, `"form"`, and `"raw"` for any other. See
        /// [bodies](http.md#bodies).
        accept: Vec<BodyKind> as List(&Shape::Choice(&["json", "form", "raw"])) = ["json"] [hidden],
            written "array of `\"json\"`, `\"form\"`, `\"raw\"`";

        /// The status of the answer to a request whose message is stored, or what `component` publishes for it.
        status: u16 as Integer(200, 202) = 202;

        /// The largest body, at most the broker's `max_message_size`.
        max_body: u64 as Size(1) = "1MiB", written "size, at most `\"128MiB\"`";

        /// Requests need this token, as `Authorization: Bearer TOKEN`.
        token => Option<Password> as Secret [hidden],
            else "no token",
            written "secret, at least 16 letters, digits and signs";

        /// The rate at which requests are taken, as in `"100/s"`, `"10/m"` or `"500/h"`. Those beyond are answered with
        /// 429.
        rate => Option<RatePlan> as Short("limit", RateKeys::KEYS),
            else "no limit", written "`\"N/s\"`, `\"N/m\"`, `\"N/h\"`, or a table";

        /// Remembers the `Idempotency-Key` of requests whose message is stored: a request with the same key is answered as
        /// the first was, and not published again. See [repeats](http.md#repeats).
        publish_dedup: Option<HttpDedupPlan> [hidden], else "repeats are published";

        /// The origins whose web pages may send requests, as in `"https://shop.example"`; `"*"` is every origin.
        cors => Arc<[String]> as List(&Shape::Text) [hidden],
            else "none", written "array of origins";
    }
    beside {
        /// As it is named in the file.
        name: Arc<str>,
        /// Its method.
        method: HttpMethod,
        /// Its path.
        path: Arc<[Segment]>,
    }
}
