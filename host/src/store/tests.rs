//! One suite for every kind of store, and what a file and a server have to stand.

mod redis_server;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future;
use tempfile::TempDir;
use tokio::time::Instant;

use self::redis_server::RedisServer;
use super::{
    Answer, Bucket, Clock, Embedded, Memory, Namespace, Operation, Redis, Store, StoreFault, Value,
    Write,
};
use crate::lifecycle::Tasks;

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

/// An empty store of each kind, with the clock that it reads.
struct Kinds {
    stores: Vec<(Arc<dyn Store>, Hands)>,
    _folder: TempDir,
    _server: RedisServer,
}

impl Kinds {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = RedisServer::start().await;
        let (memory, embedded, redis) = (Hands::default(), Hands::default(), Hands::default());
        let path = folder.path().join("hive.db");
        let file = Embedded::open(&path, embedded.clock(), &Tasks::new()).await;
        let on_server = Redis::open_with(&server.plan(), redis.clock()).await;
        let stores: Vec<(Arc<dyn Store>, Hands)> = vec![
            (Arc::new(Memory::new(memory.clock())), memory),
            (Arc::new(file.unwrap()), embedded),
            (Arc::new(on_server.unwrap()), redis),
        ];
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

#[tokio::test]
async fn a_server_lets_go_of_what_has_ended_by_itself() {
    let server = RedisServer::start().await;
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
    let plan = RedisServer::start().await.plan();
    let plan = crate::config::plan::RedisPlan {
        password: Some("s3cret".to_owned().into()),
        ..plan
    };
    let fault = Redis::open(&plan).await.err().unwrap();
    let told = fault.to_string();
    assert!(matches!(fault, StoreFault::Away { .. }), "{told}");
    assert!(
        told.contains("store.url") && told.contains("127.0.0.1"),
        "{told}"
    );
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_server_that_wants_another_password_is_told() {
    let server = RedisServer::start().await;
    let plan = crate::config::plan::RedisPlan {
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

async fn open(path: &Path) -> Result<Arc<dyn Store>, StoreFault> {
    let file = Embedded::open(path, Clock::system(), &Tasks::new()).await?;
    Ok(Arc::new(file))
}

fn in_box(store: &Arc<dyn Store>) -> Bucket {
    Bucket::new(store, Namespace::keyvalue("box"))
}

#[tokio::test]
async fn a_file_that_was_closed_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let store = open(&path).await.unwrap();
    in_box(&store).set(b"a", Value::lasting("1")).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(in_box(&store).get(b"a").await, Err(StoreFault::Closed));
    assert_eq!(in_box(&store).delete(b"a").await, Err(StoreFault::Closed));
    let store = open(&path).await.unwrap();
    assert_eq!(in_box(&store).get(b"a").await, Ok(Some(b"1".to_vec())));
    assert_eq!(in_box(&store).increment(b"a", 1).await, Ok(Some(2)));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it may hold anything");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let _store = open(&path).await.unwrap();
    let fault = open(&path).await.err().unwrap();
    assert_eq!(fault, StoreFault::Held { path: path.clone() });
    let told = fault.to_string();
    assert!(
        told.contains("store.path") && told.contains("hive.db"),
        "{told}"
    );
}

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    for content in ["", "a", &"a text of some length\n".repeat(1000)] {
        std::fs::write(&path, content).unwrap();
        let fault = open(&path).await.err().unwrap();
        assert!(matches!(fault, StoreFault::NotAStore { .. }), "{fault}");
        assert!(fault.to_string().contains("store.path"), "{fault}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let fault = open(folder.path()).await.err().unwrap();
    assert!(fault.to_string().contains("store.path"), "{fault}");
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let database = redb::Database::create(&path).unwrap();
    let change = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, u64>::new("theirs");
    change.open_table(table).unwrap().insert("a", 1).unwrap();
    change.commit().unwrap();
    drop(database);
    let fault = open(&path).await.err().unwrap();
    assert!(fault.to_string().contains("another program"), "{fault}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").join("hive.db");
    let fault = open(&path).await.err().unwrap();
    assert!(matches!(fault, StoreFault::CannotOpen { .. }), "{fault}");
    let told = fault.to_string();
    assert!(
        told.contains("store.path") && told.contains("hive.db"),
        "{told}"
    );
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_told_and_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let store = open(&path).await.unwrap();
    in_box(&store)
        .set(b"a", Value::lasting(vec![1; 100_000]))
        .await
        .unwrap();
    store.close().await;
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(5000).unwrap();
    let fault = open(&path).await.err().unwrap();
    assert!(fault.to_string().contains("store.path"), "{fault}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 5000);
}

const CHILD: &str = "HIVE_TEST_STORE";

/// The process that is killed: counts for ever from several tasks, and tells of each number that was
/// answered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of `what_was_answered_survives_kill_9`"]
async fn counts_until_it_is_killed() {
    let path = PathBuf::from(std::env::var_os(CHILD).unwrap());
    let store = open(&path).await.unwrap();
    let counting = (0..8).map(|task| {
        let bucket = in_box(&store);
        Tasks::new().spawn_work(async move {
            loop {
                let key = format!("counted {task}");
                let counted = bucket.increment(key.as_bytes(), 1).await.unwrap().unwrap();
                let line = format!("{key}={counted}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    future::join_all(counting).await;
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let mut told = std::collections::BTreeMap::<String, u64>::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::counts_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            let number = line
                .split_once('=')
                .filter(|(key, _)| key.starts_with("counted"));
            if let Some((key, number)) = number {
                told.insert(key.to_owned(), number.parse().unwrap());
            }
        };
        for line in lines.by_ref().take(100 * round) {
            note(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had written into the pipe by then was answered as well.
        lines.map_while(Result::ok).for_each(&mut note);
        let store = open(&path).await.unwrap();
        for (key, number) in &told {
            let kept = in_box(&store).get(key.as_bytes()).await.unwrap().unwrap();
            let kept: u64 = String::from_utf8(kept).unwrap().parse().unwrap();
            // Its last write may have been done and not told.
            assert!(
                (*number..=number + 1).contains(&kept),
                "{key}: {kept}, told {number}"
            );
            in_box(&store)
                .set(key.as_bytes(), Value::lasting(number.to_string()))
                .await
                .unwrap();
        }
        store.close().await;
    }
    assert_eq!(told.len(), 8);
}

/// `cargo test --release -p hive-host --lib -- --ignored --nocapture store::tests::how_fast`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement for docs/store.md"]
async fn how_fast_a_file_is() {
    let tell = |line: String| writeln!(std::io::stdout(), "{line}").unwrap();
    // Beside the sources, since a folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = folder.path().join("hive.db");
    let store = open(&path).await.unwrap();
    for tasks in [1, 4, 16, 64, 256] {
        let start = Instant::now();
        let each = 4000 / tasks;
        let counting = (0..tasks).map(|task| {
            let bucket = in_box(&store);
            Tasks::new().spawn_work(async move {
                for _ in 0..each {
                    let key = format!("counted {task}");
                    bucket.increment(key.as_bytes(), 1).await.unwrap();
                }
            })
        });
        future::join_all(counting).await;
        let took = start.elapsed();
        let rate = f64::from(each * tasks) / took.as_secs_f64();
        let wait = took / each;
        tell(format!(
            "{tasks} at once: {rate:.0} increments/s, {wait:?} each"
        ));
    }
    let start = Instant::now();
    for _ in 0..10_000 {
        in_box(&store).get(b"counted 0").await.unwrap();
    }
    tell(format!(
        "one read after the other: {:?} each",
        start.elapsed() / 10_000
    ));
    for thousand in 0..500 {
        let write = |number| Write {
            key: format!("order {thousand} {number}").into_bytes(),
            operation: Operation::Claim(Value::passing(vec![7; 100], 3600 * SECOND)),
        };
        let writes = (0..1000).map(write).collect();
        in_box(&store).write(writes).await.unwrap();
    }
    // What a killed process leaves is what is in the file while it is open.
    let left = folder.path().join("left.db");
    std::fs::copy(&path, &left).unwrap();
    let size = std::fs::metadata(&left).unwrap().len() >> 20;
    let start = Instant::now();
    let reopened = open(&left).await.unwrap();
    let took = start.elapsed();
    tell(format!(
        "500000 claims: {size} MiB, opened after a kill within {took:?}"
    ));
    reopened.close().await;
    let start = Instant::now();
    open(&left).await.unwrap().close().await;
    tell(format!("opened after a stop within {:?}", start.elapsed()));
    let start = Instant::now();
    let tasks = (0..256).map(|task| {
        let bucket = in_box(&store);
        Tasks::new().spawn_work(async move {
            for number in 0..40 {
                let key = format!("claim {task} {number}");
                let claim = bucket.claim(key.as_bytes(), Value::passing("me", 3600 * SECOND));
                assert_eq!(claim.await, Ok(Ok(())));
            }
        })
    });
    future::join_all(tasks).await;
    let rate = f64::from(256 * 40) / start.elapsed().as_secs_f64();
    tell(format!("256 at once, beside those: {rate:.0} claims/s"));
}
