//! Tracks that come again after every kind of crash, natively.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use hive_guest::keyvalue::Bucket;
use hive_guest::objects::Container;
use hive_guest::testing::{DeliveryBuilder, fail_objects};
use serde_json::json;

use super::*;

fn played(id: usize) -> Delivery {
    DeliveryBuilder::new()
        .message_id(format!("t{id}"))
        .json(&json!({ "title": format!("track {id}") }))
        .build()
}

fn batch(ids: impl IntoIterator<Item = usize>) -> Result<Vec<Action>, String> {
    handle(ids.into_iter().map(played).collect())
}

/// In which object each track is, and how often.
fn archived() -> BTreeMap<String, Vec<String>> {
    let container = Container::open("tracks").unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in container.names().unwrap() {
        let content = container.get(&name).unwrap().unwrap();
        let mut text = String::new();
        GzDecoder::new(&content[..])
            .read_to_string(&mut text)
            .unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["id"].as_str().unwrap().to_owned();
            found.entry(id).or_default().push(name.clone());
        }
    }
    found
}

fn assert_each_once(count: usize) {
    let archived = archived();
    assert_eq!(archived.len(), count);
    for (id, objects) in archived {
        assert_eq!(objects.len(), 1, "{id} is in {objects:?}");
    }
}

#[test]
fn a_batch_is_one_object_without_what_is_no_track() {
    let malformed = DeliveryBuilder::new().message_id("x").text("{}").build();
    let nameless = DeliveryBuilder::new().text("{}").build();
    let actions = handle(vec![played(1), malformed, nameless, played(2)]).unwrap();
    assert!(actions[0].is_ack() && actions[3].is_ack());
    assert!(actions[1].as_reject().unwrap().contains("title"));
    assert!(actions[2].as_reject().unwrap().contains("message-id"));
    assert_each_once(2);
    let objects = archived();
    assert_eq!(objects["t1"], objects["t2"]);
}

#[test]
fn tracks_that_come_again_in_other_batches_stay_in_their_object() {
    batch(0..10).unwrap();
    let before = archived();
    // As after a crash before the acknowledgement.
    batch(5..15).unwrap();
    batch([0, 3, 14, 15]).unwrap();
    assert_each_once(16);
    for (id, object) in before {
        assert_eq!(archived()[&id], object);
    }
}

#[test]
fn an_upload_that_failed_is_made_up_for_by_whichever_track_comes_first() {
    fail_objects("tracks", Some("it is full"));
    assert!(batch(0..10).unwrap_err().contains("full"));
    fail_objects("tracks", None);
    assert!(archived().is_empty());
    batch([9, 20, 21]).unwrap();
    // The whole object, those that have not come again included.
    assert_each_once(12);
    batch(0..9).unwrap();
    assert_each_once(12);
}

#[test]
fn a_batch_whose_tracks_were_not_decided_yet_leaves_nothing_behind() {
    batch(0..3).unwrap();
    // As after a crash between the two steps of the plan: content without tracks.
    let store = Bucket::open("tracks").unwrap();
    for id in 0..3 {
        store.delete(&format!("of/t{id}")).unwrap();
    }
    let container = Container::open("tracks").unwrap();
    for name in container.names().unwrap() {
        container.delete(&name).unwrap();
    }
    batch(1..5).unwrap();
    batch([0]).unwrap();
    assert_each_once(5);
}

#[test]
fn a_track_that_comes_twice_in_a_batch_is_one_line() {
    batch([1, 1, 2]).unwrap();
    assert_each_once(2);
}

#[test]
fn a_large_batch_is_kept_in_pieces() {
    let noise: String = (0_u64..400_000)
        .map(|at| char::from(b'a' + u8::try_from(at.wrapping_mul(at ^ 0x9e37) % 26).unwrap()))
        .collect();
    let large = |id: usize| {
        let title = format!("{id}{}", &noise[id * 1000..]);
        DeliveryBuilder::new()
            .message_id(format!("t{id}"))
            .json(&json!({ "title": title }))
            .build()
    };
    fail_objects("tracks", Some("away"));
    handle((0..20).map(large).collect()).unwrap_err();
    fail_objects("tracks", None);
    handle(vec![large(3)]).unwrap();
    assert_each_once(20);
}

#[test]
fn old_batches_are_forgotten_once_they_are_many_and_uploaded() {
    let store = Bucket::open("tracks").unwrap();
    fail_objects("tracks", Some("away"));
    batch([0]).unwrap_err();
    fail_objects("tracks", None);
    for id in 1..150 {
        batch([id]).unwrap();
    }
    let known = |id: usize| store.exists(&format!("of/t{id}")).unwrap();
    plan::forget(&store, 0).unwrap();
    assert!(known(0) && known(1), "they are not old");
    for _ in 0..100 {
        plan::forget(&store, u64::MAX).unwrap();
    }
    assert!(known(0), "it is not uploaded");
    assert!(!known(1) && !known(40));
    assert!(known(60) && known(149), "the last ones may come again");
    batch([0]).unwrap();
    assert_each_once(150);
    let keys = store.keys(None).unwrap().0;
    assert!(
        !keys.iter().any(|key| key.starts_with("content/")),
        "{keys:?}"
    );
}
