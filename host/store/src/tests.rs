//! One suite for every kind of store; beside it what each kind has to stand by itself.

mod file;
mod killed;
mod memory;
mod redis_server;
mod server;
mod speed;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future;
use hive_lifecycle::Tasks;
use tempfile::TempDir;

use self::redis_server::RedisServer;
use super::{
    Answer, Bucket, Clock, Embedded, Memory, Namespace, Operation, Redis, Store, StoreFault, Value,
    Write,
};

/// A clock that a test moves.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn clock(&self) -> Clock {
        let hands = Arc::clone(&self.0);
        Clock::new(move || hands.load(Ordering::SeqCst))
    }

    fn pass(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(time, Ordering::SeqCst);
    }
}

/// An empty store of each kind, with the clock that it reads. Without Redis on this machine, of the others.
struct Kinds {
    stores: Vec<(Arc<dyn Store>, Hands)>,
    _folder: TempDir,
    _server: Option<RedisServer>,
}

impl Kinds {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = RedisServer::start().await;
        let (memory, embedded, redis) = (Hands::default(), Hands::default(), Hands::default());
        let path = folder.path().join("hive.db");
        let file = Embedded::open(&path, embedded.clock(), &Tasks::new()).await;
        let mut stores: Vec<(Arc<dyn Store>, Hands)> = vec![
            (Arc::new(Memory::new(memory.clock())), memory),
            (Arc::new(file.unwrap()), embedded),
        ];
        if let Some(server) = &server {
            let on_server = Redis::open_with(&server.plan(), redis.clock()).await;
            stores.push((Arc::new(on_server.unwrap()), redis));
        }
        Self {
            stores,
            _folder: folder,
            _server: server,
        }
    }

    fn buckets(&self, namespace: &Namespace) -> Vec<(Bucket, Hands)> {
        let bucket = |(store, hands): &(Arc<dyn Store>, Hands)| {
            (Bucket::new(store, namespace.clone()), hands.clone())
        };
        self.stores.iter().map(bucket).collect()
    }
}

/// Runs the same on a bucket of every kind of store.
macro_rules! on_every_kind {
    ($(#[$attribute:meta])* async fn $name:ident($bucket:ident: &Bucket, $hands:ident: &Hands) $body:block) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let kinds = Kinds::new().await;
            for (bucket, hands) in kinds.buckets(&Namespace::keyvalue("box")) {
                let ($bucket, $hands) = (&bucket, &hands);
                $body
            }
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);

fn words(keys: &[Vec<u8>]) -> Vec<String> {
    let word = |key: &Vec<u8>| String::from_utf8_lossy(key).into_owned();
    keys.iter().map(word).collect()
}

async fn open(path: &Path) -> Result<Arc<dyn Store>, StoreFault> {
    let file = Embedded::open(path, Clock::system(), &Tasks::new()).await?;
    Ok(Arc::new(file))
}

fn in_box(store: &Arc<dyn Store>) -> Bucket {
    Bucket::new(store, Namespace::keyvalue("box"))
}

on_every_kind! {
    async fn what_is_set_stands_until_it_is_deleted(bucket: &Bucket, _hands: &Hands) {
        assert_eq!(bucket.get(b"a").await, Ok(None));
        bucket.set(b"a", Value::lasting("1")).await.unwrap();
        bucket.set(b"a", Value::lasting("2")).await.unwrap();
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"2".to_vec())));
        bucket.delete(b"a").await.unwrap();
        bucket.delete(b"a").await.unwrap();
        assert_eq!(bucket.get(b"a").await, Ok(None));
    }
}

on_every_kind! {
    async fn what_passes_is_gone_at_its_end_and_not_before(bucket: &Bucket, hands: &Hands) {
        bucket.set(b"a", Value::passing("1", SECOND)).await.unwrap();
        hands.pass(Duration::from_millis(999));
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"1".to_vec())));
        hands.pass(Duration::from_millis(1));
        assert_eq!(bucket.get(b"a").await, Ok(None));
        assert_eq!(bucket.keys(None, 9).await.unwrap().keys, Vec::<Vec<u8>>::new());
        assert_eq!(bucket.claim(b"a", Value::lasting("2")).await, Ok(Ok(())));
    }
}

on_every_kind! {
    async fn setting_anew_moves_the_end(bucket: &Bucket, hands: &Hands) {
        bucket.set(b"a", Value::passing("1", SECOND)).await.unwrap();
        bucket.set(b"a", Value::passing("2", 3 * SECOND)).await.unwrap();
        bucket.set(b"b", Value::passing("1", SECOND)).await.unwrap();
        bucket.set(b"b", Value::lasting("2")).await.unwrap();
        hands.pass(2 * SECOND);
        // Each write sweeps; neither is an entry that has ended.
        bucket.set(b"c", Value::lasting("")).await.unwrap();
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"2".to_vec())));
        hands.pass(2 * SECOND);
        bucket.set(b"c", Value::lasting("")).await.unwrap();
        assert_eq!(bucket.get(b"a").await, Ok(None));
        assert_eq!(bucket.get(b"b").await, Ok(Some(b"2".to_vec())));
    }
}

on_every_kind! {
    async fn one_claim_holds_until_it_is_given_up(bucket: &Bucket, _hands: &Hands) {
        assert_eq!(bucket.claim(b"a", Value::lasting("me")).await, Ok(Ok(())));
        assert_eq!(
            bucket.claim(b"a", Value::lasting("you")).await,
            Ok(Err(b"me".to_vec()))
        );
        assert_eq!(bucket.delete_if(b"a", b"you".to_vec()).await, Ok(false));
        assert_eq!(bucket.delete_if(b"a", b"me".to_vec()).await, Ok(true));
        assert_eq!(bucket.claim(b"a", Value::lasting("you")).await, Ok(Ok(())));
    }
}

on_every_kind! {
    async fn a_swap_looks_at_what_stands_there(bucket: &Bucket, _hands: &Hands) {
        assert_eq!(bucket.swap(b"a", Some(b"1".to_vec()), Value::lasting("2")).await, Ok(false));
        assert_eq!(bucket.swap(b"a", None, Value::lasting("1")).await, Ok(true));
        assert_eq!(bucket.swap(b"a", None, Value::lasting("2")).await, Ok(false));
        assert_eq!(bucket.swap(b"a", Some(b"1".to_vec()), Value::lasting("2")).await, Ok(true));
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"2".to_vec())));
    }
}

on_every_kind! {
    async fn counting_begins_at_0_and_refuses_what_is_no_number(bucket: &Bucket, hands: &Hands) {
        assert_eq!(bucket.increment(b"a", 3).await, Ok(Some(3)));
        assert_eq!(bucket.increment(b"a", 4).await, Ok(Some(7)));
        assert_eq!(bucket.increment(b"a", u64::MAX).await, Ok(None));
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"7".to_vec())));
        assert_eq!(bucket.increment(b"a", u64::MAX - 7).await, Ok(Some(u64::MAX)));
        assert_eq!(bucket.increment(b"a", 0).await, Ok(Some(u64::MAX)));
        bucket.set(b"b", Value::lasting("seven")).await.unwrap();
        assert_eq!(bucket.increment(b"b", 1).await, Ok(None));
        bucket.set(b"c", Value::passing("1", SECOND)).await.unwrap();
        assert_eq!(bucket.increment(b"c", 1).await, Ok(Some(2)));
        hands.pass(SECOND);
        assert_eq!(bucket.increment(b"c", 1).await, Ok(Some(1)));
    }
}

on_every_kind! {
    async fn counting_at_once_loses_nothing(bucket: &Bucket, _hands: &Hands) {
        let counting = (0..8).map(|_| {
            let bucket = bucket.clone();
            Tasks::new().spawn_work(async move {
                for _ in 0..50 {
                    bucket.increment(b"a", 1).await.unwrap();
                }
            })
        });
        for counted in future::join_all(counting).await {
            counted.unwrap();
        }
        assert_eq!(bucket.get(b"a").await, Ok(Some(b"400".to_vec())));
    }
}

on_every_kind! {
    async fn of_many_claims_at_once_one_holds(bucket: &Bucket, _hands: &Hands) {
        let claims = (0..16).map(|number| {
            let bucket = bucket.clone();
            Tasks::new().spawn_work(async move {
                bucket.claim(b"a", Value::lasting(number.to_string())).await.unwrap()
            })
        });
        let claims = future::join_all(claims).await;
        let held = claims.into_iter().filter(|claim| matches!(claim, Ok(Ok(())))).count();
        assert_eq!(held, 1);
    }
}

on_every_kind! {
    async fn writes_of_a_batch_are_carried_out_in_their_order(bucket: &Bucket, _hands: &Hands) {
        let write = |key: &str, operation| Write { key: key.into(), operation };
        let answers = bucket.write(vec![
            write("a", Operation::Set(Value::lasting("1"))),
            write("a", Operation::Increment(1)),
            write("b", Operation::Claim(Value::lasting("1"))),
            write("a", Operation::Delete),
            write("b", Operation::Claim(Value::lasting("2"))),
        ]).await.unwrap();
        assert_eq!(answers, [
            Answer::Done,
            Answer::Counted(2),
            Answer::Done,
            Answer::Done,
            Answer::Refused(Some(b"1".to_vec())),
        ]);
        let keys = vec![b"a".to_vec(), b"b".to_vec()];
        assert_eq!(bucket.get_many(keys).await, Ok(vec![None, Some(b"1".to_vec())]));
    }
}

on_every_kind! {
    async fn pages_of_keys_show_each_that_stands_throughout_once(bucket: &Bucket, _hands: &Hands) {
        for number in 0..10 {
            bucket.set(format!("k{number}").as_bytes(), Value::lasting("")).await.unwrap();
        }
        let first = bucket.keys(None, 4).await.unwrap();
        assert_eq!(words(&first.keys), ["k0", "k1", "k2", "k3"]);
        bucket.delete(b"k3").await.unwrap();
        bucket.delete(b"k5").await.unwrap();
        bucket.set(b"k1", Value::lasting("anew")).await.unwrap();
        bucket.set(b"late", Value::lasting("")).await.unwrap();
        let second = bucket.keys(first.last, 4).await.unwrap();
        assert_eq!(words(&second.keys), ["k4", "k6", "k7", "k8"]);
        assert!(second.more);
        let third = bucket.keys(second.last, 4).await.unwrap();
        assert_eq!(words(&third.keys), ["k9", "late"]);
        assert!(!third.more);
        let behind = bucket.keys(Some(u64::MAX), 4).await.unwrap();
        assert_eq!((behind.keys.len(), behind.more), (0, false));
    }
}

#[tokio::test]
async fn namespaces_are_apart() {
    let kinds = Kinds::new().await;
    let here = kinds.buckets(&Namespace::keyvalue("here"));
    // As long as it can be confused with.
    let there = kinds.buckets(&Namespace::keyvalue("her"));
    for ((here, _), (there, _)) in here.iter().zip(&there) {
        here.set(b"a", Value::lasting("1")).await.unwrap();
        there.set(b"ea", Value::lasting("2")).await.unwrap();
        assert_eq!(there.get(b"a").await, Ok(None));
        assert_eq!(words(&here.keys(None, 9).await.unwrap().keys), ["a"]);
        assert_eq!(words(&there.keys(None, 9).await.unwrap().keys), ["ea"]);
    }
}

#[tokio::test]
async fn where_the_number_is_bounded_the_oldest_goes() {
    let kinds = Kinds::new().await;
    for (bucket, hands) in kinds.buckets(&Namespace::keyvalue("box").bounded(3)) {
        for key in ["a", "b", "c", "a", "d"] {
            bucket
                .set(key.as_bytes(), Value::passing("", SECOND))
                .await
                .unwrap();
        }
        // `a` was made first, however often it was set.
        assert_eq!(
            words(&bucket.keys(None, 9).await.unwrap().keys),
            ["b", "c", "d"]
        );
        hands.pass(SECOND);
        for key in ["e", "f", "g"] {
            bucket
                .set(key.as_bytes(), Value::lasting(""))
                .await
                .unwrap();
        }
        assert_eq!(
            words(&bucket.keys(None, 9).await.unwrap().keys),
            ["e", "f", "g"]
        );
    }
}

on_every_kind! {
    async fn the_size_is_what_is_there(bucket: &Bucket, hands: &Hands) {
        assert_eq!(bucket.size().await, Ok(0));
        bucket.set(b"a", Value::passing("1", SECOND)).await.unwrap();
        bucket.set(b"b", Value::lasting("1")).await.unwrap();
        bucket.set(b"a", Value::passing("2", SECOND)).await.unwrap();
        assert_eq!(bucket.size().await, Ok(2));
        hands.pass(SECOND);
        bucket.delete(b"none").await.unwrap();
        assert_eq!(bucket.size().await, Ok(1));
    }
}

on_every_kind! {
    async fn keys_and_values_are_any_bytes(bucket: &Bucket, _hands: &Hands) {
        let odd: Vec<u8> = (0..=255).chain(*b"} = {%s}:order").collect();
        bucket.set(&odd, Value::lasting(odd.clone())).await.unwrap();
        bucket.set(b"", Value::lasting("")).await.unwrap();
        let both = vec![odd.clone(), Vec::new()];
        assert_eq!(bucket.get_many(both.clone()).await, Ok(vec![Some(odd.clone()), Some(Vec::new())]));
        assert_eq!(bucket.keys(None, 9).await.unwrap().keys, both);
        assert_eq!(bucket.swap(b"", Some(Vec::new()), Value::lasting("1")).await, Ok(true));
        assert_eq!(bucket.delete_if(&odd, odd.clone()).await, Ok(true));
    }
}
