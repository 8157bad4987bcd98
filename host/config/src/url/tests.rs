//! Tests of the broker's URL.

use super::*;

fn hosts(text: &str) -> Vec<(String, u16)> {
    let url = parse(text).unwrap();
    url.endpoints
        .into_iter()
        .map(|e| (e.host, e.port))
        .collect()
}

fn fault(text: &str) -> UrlFault {
    let mut faults = parse(text).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

#[test]
fn every_part_is_read() {
    let url = parse(
        "amqps://or%40ders:p%2Fw%3a@rabbit:5673/my%2fhost?heartbeat=7&frame_max=8192\
         &channel_max=12&connection_timeout=1500&auth_mechanism=external",
    )
    .unwrap();
    assert!(url.tls);
    assert_eq!(
        url.endpoints,
        [Endpoint {
            host: "rabbit".into(),
            port: 5673
        }]
    );
    assert_eq!(url.username, "or@ders");
    assert_eq!(url.password.expose_secret(), "p/w:");
    assert_eq!(url.vhost, "my/host");
    assert_eq!(url.heartbeat, Some(Duration::from_secs(7)));
    assert_eq!(url.frame_max, Some(8192));
    assert_eq!(url.channel_max, Some(12));
    assert_eq!(url.connect_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(url.mechanism, AuthMechanism::External);
}

#[test]
fn what_is_left_out_is_the_brokers_default() {
    let url = parse("amqp://localhost").unwrap();
    assert_eq!(url.username, "guest");
    assert_eq!(url.password.expose_secret(), "guest");
    assert_eq!(url.vhost, "/");
    assert_eq!(url.heartbeat, None);
    assert_eq!(url.mechanism, AuthMechanism::Plain);
    assert_eq!(parse("amqp://u@h").unwrap().password.expose_secret(), "");
    assert_eq!(parse("amqp://h?heartbeat=0").unwrap().vhost, "/");
}

#[test]
fn several_hosts_and_several_urls_are_endpoints() {
    let three = [("a", 5672), ("::1", 5673), ("b.example", 1)].map(|(h, p)| (h.to_owned(), p));
    assert_eq!(hosts("amqp://u:p@a,[::1]:5673,b.example:1/%2f"), three);
    assert_eq!(
        hosts("amqp://u:p@a/v, amqp://u:p@[::1]:5673/v,amqp://u:p@b.example:1/v"),
        three
    );
    assert_eq!(hosts("amqps://[fe80::1]"), [("fe80::1".to_owned(), 5671)]);
}

#[test]
fn urls_that_differ_in_more_than_hosts_are_refused() {
    let alike = "give them one scheme, user, password, virtual host and query";
    for text in [
        "amqp://a/x,amqp://b/y",
        "amqp://a,amqps://b",
        "amqp://u:p@a,amqp://b",
    ] {
        assert_eq!(fault(text).remedy, alike, "{text}");
    }
}

#[test]
fn a_lone_slash_is_refused_with_advice() {
    assert!(fault("amqp://h/").remedy.contains("\"/%2f\""));
    assert!(fault("amqp://h/?heartbeat=1").remedy.contains("\"/%2f\""));
    assert!(fault("amqp://h//").remedy.contains("%2f"));
}

#[test]
fn malformed_urls_are_refused() {
    let wrong = [
        "",
        "rabbit",
        "http://h",
        "AMQP:/h",
        "amqp://",
        "amqp://u:p@",
        "amqp://h:0",
        "amqp://h:",
        "amqp://h:65536",
        "amqp://h:+1",
        "amqp://[::1",
        "amqp://[nope]",
        "amqp://[::1]x",
        "amqp://a,,b",
        "amqp://h/%zz",
        "amqp://h/%ff",
        "amqp://u%@h",
        "amqp://h?hartbeat=1",
        "amqp://h?heartbeat=10s",
        "amqp://h?frame_max=100",
        "amqp://h?auth_mechanism=magic",
        "amqp://h?connection_timeout=0",
        "amqp://h/v#x",
        "amqp://h h",
    ];
    for text in wrong {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn every_fault_of_the_query_is_told() {
    let faults = parse("amqp://h/?hartbeat=1&channel_max=x").unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn no_fault_repeats_a_secret() {
    let broken = [
        "amqp://u:s3cret@h/",
        "amqp://u:s3cret@h:port",
        "amqp://u:s3cret",
        "u:s3cret@h",
        "amqp://u:s3c/s3cret@h/v",
        "amqp://u:?s3cret=1@h",
        "amqp://u:%s3cret@h",
        "amqp://u:s3cret@h/v?x=1",
        "amqp://u@x:?s3cret@h",
        "amqp://u:#s3cret@h",
    ];
    for text in broken {
        let told = format!("{:?}", parse(text).unwrap_err());
        assert!(!told.contains("s3c"), "{told}");
    }
    let told = format!("{:?}", parse("amqp://u:s3cret@h").unwrap());
    assert!(!told.contains("s3cret"), "{told}");
}
