//! A Redis that is spoken to over TLS: what good certificates do, and what is told of the others.

use anyhow::Result;
use hive_tests::{Authority, Broker, Clients, HiveToml, HostProcess, Identity, RedisServer};

use crate::consuming;
use crate::keyvalue::{GRANTED, assert_answers, obedient};

const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// A host with its store at `url`; `tls` are the keys of that.
fn keeping(url: &str, tls: &str) -> HiveToml {
    let store = format!("kind = \"redis\"\nurl = {url:?}\n{tls}");
    obedient(GRANTED).section("store", &store)
}

fn trusting(authority: &Authority) -> String {
    format!("tls.ca = {:?}", authority.certificate())
}

/// Runs a host that ends because of its store, and makes sure that it tells each of `told`, where to look
/// and no password.
async fn assert_refused(toml: &HiveToml, told: &[&str]) -> Result<()> {
    let vhost = Broker::shared().await?.vhost("store-tls").await?;
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    assert_eq!(host.wait().await?.code(), Some(1));
    let lines = host.lines_to_the_end().join("\n");
    for word in ["`store.url`"].iter().chain(told) {
        assert!(lines.contains(word), "`{word}` is not told: {lines}");
    }
    assert!(!lines.contains("s3cret"), "{lines}");
    Ok(())
}

#[tokio::test]
async fn a_redis_is_used_over_tls_and_used_again_after_it_was_killed() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let server = authority.server("redis", LOCAL)?;
    let redis = RedisServer::start_with_tls(&authority, &server, Clients::Anyone).await?;
    let toml = keeping(&redis.tls_url()?, &trusting(&authority));
    let (vhost, mut host) = consuming("store-tls", toml).await?;
    assert_answers(&vhost, &[("box set a 1", "done"), ("box get a", "1")]).await?;
    redis.kill9()?;
    redis.restart().await?;
    assert_answers(&vhost, &[("box get a", "1"), ("box increment a 1", "2")]).await?;
    assert_eq!(host.count("s3cret"), 0, "the password of the store");
    host.stop().await
}

#[tokio::test]
async fn a_client_certificate_that_a_redis_asks_for_lets_in_who_has_it() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let server = authority.server("redis", LOCAL)?;
    let redis = RedisServer::start_with_tls(&authority, &server, Clients::WithCertificate).await?;
    let keys = trusting(&authority);
    let without = keeping(&redis.tls_url()?, &keys);
    assert_refused(&without, &["certificate", "set `tls.cert` and `tls.key`"]).await?;
    let Identity { certificate, key } = authority.client("letters")?;
    let keys = format!("{keys}\ntls.cert = {certificate:?}\ntls.key = {key:?}");
    let (vhost, mut host) = consuming("store-tls", keeping(&redis.tls_url()?, &keys)).await?;
    assert_answers(&vhost, &[("box set a 1", "done"), ("box get a", "1")]).await?;
    host.stop().await
}

#[tokio::test]
async fn a_certificate_of_a_redis_that_cannot_be_taken_is_told() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let ours = trusting(&authority);
    let good = authority.server("good", LOCAL)?;
    let expired = authority.expired_server("expired", LOCAL)?;
    let other = authority.server("other", &["redis.example"])?;
    for (server, keys, told) in [
        (&good, "", "an authority that is not trusted"),
        (&expired, &*ours, "expired on 2020-01-01"),
        (
            &other,
            &*ours,
            "is for \"redis.example\", not for \"localhost\"",
        ),
    ] {
        let redis = RedisServer::start_with_tls(&authority, server, Clients::Anyone).await?;
        assert_refused(&keeping(&redis.tls_url()?, keys), &["the server's", told]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_port_of_a_redis_that_speaks_the_other_protocol_is_told() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let server = authority.server("redis", LOCAL)?;
    let redis = RedisServer::start_with_tls(&authority, &server, Clients::Anyone).await?;
    let plain = redis.url().replace("redis://", "rediss://");
    let told = ["as from a port that does not speak TLS"];
    assert_refused(&keeping(&plain, &trusting(&authority)), &told).await?;
    let encrypted = redis.tls_url()?.replace("rediss://", "redis://");
    let told = ["as from a port that speaks TLS alone (rediss://)"];
    assert_refused(&keeping(&encrypted, ""), &told).await
}
