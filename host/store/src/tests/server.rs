//! What a store on a server has to stand.

use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn a_server_lets_go_of_what_has_ended_by_itself() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(Redis::open(&server.plan()).await.unwrap());
    let bucket = in_box(&store);
    let short = Duration::from_millis(300);
    bucket.set(b"a", Value::passing("1", short)).await.unwrap();
    bucket
        .set(b"b", Value::passing("1", 2 * short))
        .await
        .unwrap();
    assert_eq!(bucket.get(b"a").await, Ok(Some(b"1".to_vec())));
    let patience = Instant::now() + 30 * SECOND;
    while bucket.size().await != Ok(0) {
        assert!(Instant::now() < patience, "its index is still there");
        tokio::time::sleep(short / 10).await;
    }
    assert_eq!(bucket.get(b"b").await, Ok(None));
    // What stays keeps the index.
    bucket.set(b"c", Value::passing("1", short)).await.unwrap();
    bucket.set(b"d", Value::lasting("1")).await.unwrap();
    while bucket.get(b"c").await != Ok(None) {
        assert!(Instant::now() < patience, "it has not ended");
        tokio::time::sleep(short / 10).await;
    }
    bucket.set(b"e", Value::passing("1", short)).await.unwrap();
    assert_eq!(words(&bucket.keys(None, 9).await.unwrap().keys), ["d", "e"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_password() {
    let Some(plan) = RedisServer::start().await.map(|server| server.plan()) else {
        return;
    };
    let plan = hive_config::plan::RedisPlan {
        password: Some("s3cret".to_owned().into()),
        ..plan
    };
    let patience = Duration::from_millis(200);
    let began = Instant::now();
    let opened = Redis::open_within(&plan, patience).await;
    let took = began.elapsed();
    let fault = opened.err().unwrap();
    let told = fault.to_string();
    assert!(matches!(fault, StoreFault::Away { .. }), "{told}");
    // It is tried again, and not given up at the first refusal.
    assert!(took >= Duration::from_millis(100), "after {took:?}");
    assert!(
        told.contains("store.url") && told.contains("127.0.0.1"),
        "{told}"
    );
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_server_that_wants_another_password_is_told() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let plan = hive_config::plan::RedisPlan {
        password: Some("s3cret".to_owned().into()),
        username: Some("nobody".to_owned()),
        ..server.plan()
    };
    let fault = Redis::open(&plan).await.err().unwrap();
    let told = fault.to_string();
    assert!(matches!(fault, StoreFault::Unusable { .. }), "{told}");
    assert!(
        told.contains("store.url") && !told.contains("s3cret"),
        "{told}"
    );
}
