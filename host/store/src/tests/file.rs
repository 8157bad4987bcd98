//! Tests of a store in a file.

use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;

use super::*;

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

fn assert_tells_the_place(fault: &StoreFault) {
    let told = fault.to_string();
    assert!(
        told.contains("store.path") && told.contains("hive.db"),
        "{told}"
    );
}

#[tokio::test]
async fn a_file_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hive.db");
    let _store = open(&path).await.unwrap();
    let fault = open(&path).await.err().unwrap();
    assert_eq!(fault, StoreFault::Held { path: path.clone() });
    assert_tells_the_place(&fault);
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
    assert_tells_the_place(&fault);
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
