//! Tests of a store in memory.

use super::*;

#[tokio::test]
async fn a_store_in_memory_makes_room_for_what_is_bounded() {
    let store = Arc::new(Memory::with_room(Hands::default().clock(), 4096));
    let store: Arc<dyn Store> = store;
    let bucket = Bucket::new(&store, Namespace::keyvalue("box").bounded(1000));
    for number in 0..20 {
        let key = format!("{number}");
        bucket
            .set(key.as_bytes(), Value::lasting(vec![0; 100]))
            .await
            .unwrap();
    }
    let keys = bucket.keys(None, 100).await.unwrap().keys;
    assert!(
        keys.len() < 20 && words(&keys).last().unwrap() == "19",
        "{keys:?}"
    );
    let other = Bucket::new(&store, Namespace::keyvalue("other"));
    assert!(
        other
            .set(b"a", Value::lasting(vec![0; 1000]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_has_ended_is_swept_away_by_later_writes() {
    let memory = Hands::default();
    let store = Arc::new(Memory::new(memory.clock()));
    let bucket = Bucket::new(
        &(Arc::clone(&store) as Arc<dyn Store>),
        Namespace::keyvalue("box"),
    );
    for number in 0..100 {
        let value = Value::passing("", SECOND);
        bucket
            .set(format!("{number}").as_bytes(), value)
            .await
            .unwrap();
    }
    let full = store.bytes();
    memory.pass(SECOND);
    for _ in 0..50 {
        bucket.increment(b"other", 1).await.unwrap();
    }
    assert!(store.bytes() * 50 < full, "{} of {full}", store.bytes());
}

#[tokio::test]
async fn memory_has_an_end_and_takes_more_once_there_is_room() {
    let store = Arc::new(Memory::with_room(Hands::default().clock(), 4096));
    let bucket = Bucket::new(
        &(Arc::clone(&store) as Arc<dyn Store>),
        Namespace::keyvalue("box"),
    );
    let value = || Value::lasting(vec![0; 1000]);
    bucket.set(b"a", value()).await.unwrap();
    bucket.set(b"b", value()).await.unwrap();
    bucket.set(b"c", value()).await.unwrap();
    assert_eq!(
        bucket.set(b"d", value()).await,
        Err(StoreFault::Full { most: 4096 })
    );
    bucket.delete(b"a").await.unwrap();
    bucket.set(b"d", value()).await.unwrap();
    assert_eq!(
        words(&bucket.keys(None, 9).await.unwrap().keys),
        ["b", "c", "d"]
    );
}
