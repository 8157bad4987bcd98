//! The control port, asked as a test in another language would ask it.

use hive_broker::{Broker, Definitions, Pace, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{connect, declare};

/// Sends one request, and gives status and body.
async fn ask(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn the_clock_is_turned_faults_are_ordered_and_queues_are_looked_at() {
    let settings = Settings {
        pace: Pace::Still,
        ..Settings::default()
    };
    let mut broker = Broker::start(settings).await.unwrap();
    let port = broker.serve_control(0).await.unwrap().port();
    let definitions =
        r#"{"queues": [{"name": "q", "vhost": "/", "arguments": {"x-message-ttl": 60000}}]}"#;
    assert_eq!(ask(port, "POST", "/definitions", definitions).await.0, 204);
    assert_eq!(ask(port, "PUT", "/vhosts/other", "").await.0, 204);
    let elsewhere = connect(&broker.url_of("other")).await;
    assert_eq!(broker.connections()[0].vhost, "other");
    elsewhere.close(200, "".into()).await.unwrap();
    let connection = connect(&broker.url()).await;
    let channel = connection.create_channel().await.unwrap();
    let (key, none) = ("q".into(), Default::default());
    let published = channel.basic_publish("".into(), key, none, b"hello", Default::default());
    published.await.unwrap();
    channel.basic_qos(1, Default::default()).await.unwrap();
    let (_, messages) = ask(port, "GET", "/messages/%2f/q", "").await;
    assert!(messages.contains("hello"), "{messages}");
    let (_, status) = ask(port, "GET", "/", "").await;
    assert!(status.contains(r#""ready":1"#), "{status}");
    assert_eq!(
        ask(port, "POST", "/clock", r#"{"turn": "1m"}"#).await.0,
        200
    );
    assert_eq!(broker.queue("/", "q").unwrap().ready, 0);
    assert_eq!(
        ask(port, "POST", "/clock", r#"{"turn": "soon"}"#).await.0,
        400
    );
    let cut = r#"{"fault": "cut-at", "method": "basic.get"}"#;
    assert_eq!(ask(port, "POST", "/faults", cut).await.0, 204);
    assert_eq!(ask(port, "DELETE", "/faults", "").await.0, 204);
    let odd = r#"{"fault": "odd"}"#;
    assert_eq!(ask(port, "POST", "/faults", odd).await.0, 400);
    assert_eq!(ask(port, "GET", "/messages/%2f/none", "").await.0, 404);
    let got = channel.basic_get("q".into(), Default::default()).await;
    assert!(got.unwrap().is_none());
}

#[tokio::test]
async fn a_user_of_a_definitions_file_may_what_the_file_says() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let text = r#"{
        "users": [{"name": "ada", "password": "secret"}],
        "permissions": [{"user": "ada", "vhost": "/", "configure": "^mine", "write": "", "read": ""}]
    }"#;
    broker.load(Definitions::read(text).unwrap());
    let url = broker.url().replace("guest:guest", "ada:secret");
    let connection = connect(&url).await;
    let channel = connection.create_channel().await.unwrap();
    assert!(declare(&channel, "mine.1", &[]).await.is_ok());
    let refused = declare(&channel, "yours", &[]).await.unwrap_err();
    let expected =
        "ACCESS_REFUSED - configure access to queue 'yours' in vhost '/' refused for user 'ada'";
    assert!(refused.to_string().contains(expected), "{refused}");
}

/// As a test prepares and watches a RabbitMQ.
#[tokio::test]
async fn the_management_interface_is_there_as_far_as_tests_need_it() {
    let mut broker = Broker::start(Settings::default()).await.unwrap();
    let port = broker.serve_control(0).await.unwrap().port();
    let rights = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
    for (path, body) in [
        ("/api/vhosts/shop", "{}"),
        ("/api/users/ada", r#"{"password": "secret", "tags": ""}"#),
        ("/api/permissions/shop/ada", rights),
    ] {
        assert_eq!(ask(port, "PUT", path, body).await.0, 201, "{path}");
    }
    // Who may do everything still may.
    let (status, _) = ask(port, "PUT", "/api/permissions/shop/guest", rights).await;
    assert_eq!(status, 204);
    let url = broker.url_of("shop");
    let mine = connect(&url.replace("guest:guest", "ada:secret")).await;
    let channel = mine.create_channel().await.unwrap();
    declare(&channel, "q", &[]).await.unwrap();
    let (_, queue) = ask(port, "GET", "/api/queues/shop/q", "").await;
    assert!(queue.contains(r#""messages_ready":0"#), "{queue}");
    let (_, queues) = ask(port, "GET", "/api/queues/shop", "").await;
    assert_eq!(queues, format!("[{queue}]"));
    assert_eq!(ask(port, "GET", "/api/queues/shop/p", "").await.0, 404);

    let full = r#"{"pattern": "q", "apply-to": "queues", "definition": {"max-length": 1}}"#;
    let policy = "/api/policies/shop/full";
    assert_eq!(ask(port, "PUT", policy, full).await.0, 201);
    for _ in 0..3 {
        let (key, none) = ("q".into(), Default::default());
        let published = channel.basic_publish("".into(), key, none, b"x", Default::default());
        published.await.unwrap();
    }
    channel.basic_qos(1, Default::default()).await.unwrap();
    let (_, queue) = ask(port, "GET", "/api/queues/shop/q", "").await;
    for shown in [r#""messages_ready":1"#, r#""publish":3"#] {
        assert!(queue.contains(shown), "{shown}: {queue}");
    }
    assert_eq!(ask(port, "DELETE", policy, "").await.0, 204);
    assert_eq!(ask(port, "DELETE", policy, "").await.0, 404);
    let (_, exchanges) = ask(port, "GET", "/api/exchanges/shop", "").await;
    assert!(exchanges.contains(r#""name":"amq.topic""#), "{exchanges}");
    assert_eq!(
        ask(port, "DELETE", "/api/exchanges/shop/x", "").await.0,
        404
    );

    let peer = broker.connections()[0].peer.clone();
    let (_, open) = ask(port, "GET", "/api/vhosts/shop/connections", "").await;
    assert!(open.contains(&format!(r#""name":"{peer}""#)), "{open}");
    let close = format!("/api/connections/{peer}");
    assert_eq!(ask(port, "DELETE", &close, "").await.0, 204);
    let error = channel.basic_get("q".into(), Default::default()).await;
    let error = error.unwrap_err().to_string();
    let forced = "CONNECTION_FORCED - Closed via management plugin";
    assert!(error.contains(forced), "{error}");

    let rights = "/api/permissions/shop/ada";
    assert_eq!(ask(port, "DELETE", rights, "").await.0, 204);
    assert_eq!(ask(port, "DELETE", rights, "").await.0, 404);
    assert_eq!(ask(port, "PUT", rights, "[]").await.0, 400);
    assert_eq!(ask(port, "PUT", rights, "{}").await.0, 400);
}
