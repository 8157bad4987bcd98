//! A Redis that is spoken to over TLS: what good certificates do, and what is told of the others.

use anyhow::Result;
use hive_tests::{Authority, Broker, Clients, HiveToml, HostProcess, RedisServer};

use crate::component::keyvalue::{GRANTED, ask, assert_answers, obedient};
use crate::connection::tls::{LOCAL, showing, trusting};
use crate::consuming;

/// A host with its store at `url`.
fn keeping(url: &str) -> HiveToml {
    with_store(&format!("kind = \"redis\"\nurl = {url:?}"))
}

/// The same; `keys` are those of the store's `tls`.
fn keeping_with(url: &str, keys: &str) -> HiveToml {
    with_store(&format!(
        "kind = \"redis\"\nurl = {url:?}\ntls = {{ {keys} }}"
    ))
}

fn with_store(store: &str) -> HiveToml {
    obedient(GRANTED).section("store", store)
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
    let toml = keeping_with(&redis.tls_url()?, &trusting(&authority));
    let (vhost, mut host) = consuming("store-tls", toml).await?;
    assert_answers(&vhost, &[("box set a 1", "done"), ("box get a", "1")]).await?;
    redis.kill9()?;
    redis.restart().await?;
    assert_answers(&vhost, &[("box get a", "1"), ("box increment a 1", "2")]).await?;
    assert!(!host.mentions("s3cret"), "the password of the store");
    host.stop().await
}

/// The host learns of it when it has to connect again, and fails nothing for good.
#[tokio::test]
async fn a_certificate_of_a_redis_that_expires_fails_what_asks_until_it_is_renewed() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let server = authority.server("redis", LOCAL)?;
    let redis = RedisServer::start_with_tls(&authority, &server, Clients::Anyone).await?;
    let toml = keeping_with(&redis.tls_url()?, &trusting(&authority));
    let (vhost, mut host) = consuming("store-tls", toml).await?;
    assert_answers(&vhost, &[("box set a 1", "done")]).await?;
    redis.kill9()?;
    authority.expired_server("redis", LOCAL)?;
    redis.restart().await?;
    let answer = ask(&vhost, "box get a").await?;
    assert!(answer.contains("expired on 2020-01-01"), "{answer}");
    redis.kill9()?;
    authority.server("redis", LOCAL)?;
    redis.restart().await?;
    assert_answers(&vhost, &[("box get a", "1")]).await?;
    host.stop().await
}

#[tokio::test]
async fn a_client_certificate_that_a_redis_asks_for_lets_in_who_has_it() -> Result<()> {
    let authority = Authority::new("authority of the store")?;
    let server = authority.server("redis", LOCAL)?;
    let redis = RedisServer::start_with_tls(&authority, &server, Clients::WithCertificate).await?;
    let without = keeping_with(&redis.tls_url()?, &trusting(&authority));
    let told = [
        "the server asks for a client's certificate, and there is none",
        "set `tls.cert` and `tls.key`",
    ];
    assert_refused(&without, &told).await?;
    let client = authority.client("letters")?;
    let toml = keeping_with(&redis.tls_url()?, &showing(&authority, &client));
    let (vhost, mut host) = consuming("store-tls", toml).await?;
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
        let toml = keeping_with(&redis.tls_url()?, keys);
        assert_refused(&toml, &["the server's", told]).await?;
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
    assert_refused(&keeping_with(&plain, &trusting(&authority)), &told).await?;
    let encrypted = redis.tls_url()?.replace("rediss://", "redis://");
    let told = ["as from a port that speaks TLS alone (rediss://)"];
    assert_refused(&keeping(&encrypted), &told).await
}
