//! Who may read the admin server and who may change something, by raw HTTP as another site's page would send it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, HttpAnswer};
use serde_json::{Value, json};

use super::{JSON, TOKEN, VIEWER, bearer};

const PAUSE: &str = "/v1/consumers/letters/pause";

/// A host that other machines reach, with both tokens.
async fn wide(keys: &str) -> Result<HostProcess> {
    let vhost = Broker::shared().await?.vhost("page-safety").await?;
    let keys = format!(
        "admin = \"0.0.0.0:0\"\nadmin_token = \"{TOKEN}\"\nadmin_viewer_token = \"{VIEWER}\"\n{keys}"
    );
    HostProcess::run(&vhost, &HiveToml::one("letters", "ack", "").host(&keys)).await
}

/// Signs in, and gives the header with the cookie.
async fn cookie(host: &HostProcess, token: &str) -> Result<(HttpAnswer, String)> {
    let body = json!({ "token": token }).to_string();
    let answer = host.ask("POST", "/v1/login", JSON, &body).await?;
    let set = answer.header("set-cookie").context("a cookie is set")?;
    let (pair, _) = set.split_once(';').context("it has attributes")?;
    let line = format!("cookie: {pair}\r\n");
    Ok((answer, line))
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() -> Result<()> {
    let host = wide("").await?;
    let paths = [
        "/v1/overview",
        "/v1/status",
        "/v1/consumers",
        "/v1/components",
        "/v1/audit",
        "/v1/consumers/letters/deliveries",
        "/v1/consumers/letters/series",
        "/v1/dead/letters/count",
    ];
    for path in paths {
        assert_eq!(host.admin(path).await?.status, 401, "{path}");
        for token in [TOKEN, VIEWER] {
            let answer = host.admin_with(path, &bearer(token)).await?;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    for stream in ["/v1/events", "/v1/deliveries"] {
        assert_eq!(host.admin(stream).await?.status, 401, "{stream}");
    }
    // What probes and Prometheus read, anybody may read.
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/",
        "/page.js",
        "/v1/openapi.json",
    ] {
        assert_eq!(host.admin(path).await?.status, 200, "{path}");
    }
    let commands = [
        PAUSE,
        "/v1/reload",
        "/v1/components/ack/swap",
        "/v1/dead/letters/republish?expect=0",
        "/v1/dead/letters/purge?expect=0&name=letters.dead",
        "/v1/dead/letters/edit?where=number=1",
    ];
    for path in commands {
        let with = |token: &str| format!("{JSON}{}", bearer(token));
        let denied = host.command(path, &with(VIEWER)).await?;
        assert_eq!(denied.status, 403, "{path}: {denied:?}");
        let unknown = host.command(path, JSON).await?;
        assert_eq!(unknown.status, 401, "{path}: {unknown:?}");
    }
    let answer = host
        .command(PAUSE, &format!("{JSON}{}", bearer(TOKEN)))
        .await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let audit = host.admin_with("/v1/audit", &bearer(VIEWER)).await?;
    let audit: Vec<Value> = serde_json::from_str(&audit.body)?;
    let by = |name: &str| audit.iter().filter(|entry| entry["by"] == name).count();
    // Of commands that are denied, one a second is recorded.
    assert!(
        by("viewer") + by("unknown") >= 1 && by("admin") == 1,
        "{audit:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_session_is_a_cookie_that_no_other_site_can_use() -> Result<()> {
    let host = wide("").await?;
    let wrong = json!({ "token": "a-wrong-token-5678" }).to_string();
    let answer = host.ask("POST", "/v1/login", JSON, &wrong).await?;
    assert_eq!((answer.status, answer.header("set-cookie")), (401, None));
    let foreign = format!("{JSON}origin: https://evil.example\r\n");
    let right = json!({ "token": TOKEN }).to_string();
    let answer = host.ask("POST", "/v1/login", &foreign, &right).await?;
    assert_eq!((answer.status, answer.header("set-cookie")), (403, None));

    let (answer, admin) = cookie(&host, TOKEN).await?;
    let set = answer.header("set-cookie").unwrap_or_default();
    assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains("Secure"), "{set}");
    let tls = format!("{JSON}x-forwarded-proto: https\r\n");
    let answer = host.ask("POST", "/v1/login", &tls, &right).await?;
    let set = answer.header("set-cookie").unwrap_or_default();
    assert!(set.ends_with("; Secure"), "{set}");

    let session = host.admin_with("/v1/session", &admin).await?;
    let session: Value = serde_json::from_str(&session.body)?;
    assert_eq!(
        (&session["role"], &session["commands"]),
        (&json!("admin"), &json!(true))
    );
    assert_eq!(host.admin_with("/v1/overview", &admin).await?.status, 200);

    let page = "hive-page: 1\r\n";
    let cases = [
        (String::new(), 403),
        (format!("{page}origin: https://evil.example\r\n"), 403),
        (format!("{page}origin: null\r\n"), 403),
        (format!("{page}sec-fetch-site: cross-site\r\n"), 403),
        (format!("{page}sec-fetch-site: same-site\r\n"), 403),
        (
            format!("{page}origin: http://localhost\r\nsec-fetch-site: same-origin\r\n"),
            200,
        ),
    ];
    for (headers, status) in cases {
        let answer = host
            .command(PAUSE, &format!("{JSON}{admin}{headers}"))
            .await?;
        assert_eq!(answer.status, status, "{headers}: {answer:?}");
    }
    // A form of another site.
    let form = format!("content-type: text/plain\r\n{admin}{page}");
    assert_eq!(host.command(PAUSE, &form).await?.status, 415);
    // Not even a token makes a page of another site welcome.
    let foreign = format!("{JSON}{}origin: https://evil.example\r\n", bearer(TOKEN));
    assert_eq!(host.command(PAUSE, &foreign).await?.status, 403);

    let (_, viewer) = cookie(&host, VIEWER).await?;
    let audit = host.admin_with("/v1/audit", &viewer).await?;
    let audit: Vec<Value> = serde_json::from_str(&audit.body)?;
    let newest = (&audit[0]["command"], &audit[0]["by"], &audit[0]["result"]);
    assert_eq!(newest, (&json!("login"), &json!("viewer"), &json!("ok")));
    assert_eq!(host.admin_with("/v1/overview", &viewer).await?.status, 200);
    let answer = host
        .command(PAUSE, &format!("{JSON}{viewer}{page}"))
        .await?;
    assert_eq!(answer.status, 403);

    let answer = host
        .command("/v1/logout", &format!("{JSON}{admin}"))
        .await?;
    assert_eq!(answer.status, 204);
    assert!(
        answer
            .header("set-cookie")
            .is_some_and(|set| set.contains("Max-Age=0"))
    );
    assert_eq!(host.admin_with("/v1/overview", &admin).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_be_strict() -> Result<()> {
    let host = wide("").await?;
    for path in [
        "/",
        "/page.js",
        "/page.css",
        "/v1/status",
        "/v1/nothing",
        "/livez",
    ] {
        let answer = host.admin(path).await?;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        let strict = [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
        ];
        assert!(
            strict.iter().all(|part| policy.contains(part)),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert!(answer.header("cache-control").is_some(), "{path}");
    }
    Ok(())
}

/// Sends this much after a head, and gives the status; `None` where the host has closed the connection.
fn flood(port: u16, head: &str, bytes: usize) -> Result<Option<String>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(head.as_bytes())?;
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..bytes / chunk.len() {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    // What is unread where the other end closes comes as an error.
    let _end_or_error = stream.write_all(b" HTTP/1.0\r\n\r\n");
    let mut answer = [0; 12];
    match stream.read_exact(&mut answer) {
        Ok(()) => Ok(Some(String::from_utf8_lossy(&answer[9..]).into_owned())),
        Err(_) => Ok(None),
    }
}

#[tokio::test]
async fn ten_megabytes_where_a_condition_is_meant_are_refused() -> Result<()> {
    let host = wide("").await?;
    let port = host.admin_port().await?;
    let query = flood(port, "GET /v1/dead/letters/count?where=error~", 10 << 20)?;
    assert!(query.is_none_or(|status| status.starts_with('4')));
    let length = 10 << 20;
    let headers = format!(
        "host: localhost\r\n{JSON}{}content-length: {length}\r\n\r\n",
        bearer(TOKEN)
    );
    for path in ["/v1/dead/letters/edit?where=number=1", "/v1/login"] {
        let status = flood(port, &format!("POST {path} HTTP/1.0\r\n{headers}"), length)?;
        assert!(
            status.as_ref().is_none_or(|status| status == "413"),
            "{path}: {status:?}"
        );
    }
    let long = format!("/v1/dead/letters/count?where=error~{}", "x".repeat(20_000));
    let answer = host.admin_with(&long, &bearer(VIEWER)).await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("more than 16384 bytes"), "{answer:?}");
    assert_eq!(host.admin("/livez").await?.status, 200);
    Ok(())
}
