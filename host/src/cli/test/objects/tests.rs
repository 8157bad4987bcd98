//! Objects that are as expected, and those that are not.

use hive_lifecycle::Tasks;
use regex::Regex;
use serde_json::json;

use super::*;

fn is(name: &str, content: ContentMatch) -> ObjectMatch {
    ObjectMatch {
        container: "tracks".into(),
        name: TextMatch::Is(name.into()),
        content,
    }
}

fn like(pattern: &str, content: ContentMatch) -> ObjectMatch {
    ObjectMatch {
        name: TextMatch::Matches(Regex::new(pattern).unwrap()),
        ..is("", content)
    }
}

fn text(text: &str) -> ContentMatch {
    ContentMatch::Unpacked(BodyMatch::Is(text.into()))
}

/// Place and words of what differs, with these objects in the container.
fn differences(expected: &[ObjectMatch], objects: &[(&str, &[u8])]) -> Vec<String> {
    let objects = objects.iter();
    let objects = objects.map(|(name, content)| ((*name).to_owned(), content.to_vec()));
    let content = [("tracks".to_owned(), objects.collect())];
    let found = compare(expected, &content.into(), "steps[1]").into_iter();
    found
        .map(|one| format!("{}: {}", one.place, one.words))
        .collect()
}

#[test]
fn an_object_that_is_missing_is_told_with_those_that_are_there() {
    let expected = [is("a", ContentMatch::Any)];
    assert_eq!(
        differences(&expected, &[("b", b""), ("c", b"")]),
        [
            "steps[1].objects[0]: expected an object in \"tracks\" whose name is \"a\", got \"b\", \"c\""
        ]
    );
    assert_eq!(
        differences(&expected, &[]),
        ["steps[1].objects[0]: expected an object in \"tracks\" whose name is \"a\", got none"]
    );
    assert!(differences(&expected, &[("a", b"whatever"), ("b", b"")]).is_empty());
}

#[test]
fn the_content_of_the_one_object_of_a_name_is_compared_where_it_differs() {
    let expected = ContentMatch::Unpacked(BodyMatch::Json(json!({"id": 1, "n": 2})));
    assert_eq!(
        differences(
            &[like("jsonl$", expected)],
            &[("x.jsonl", b"{\"id\": 1, \"n\": 3}\n"), ("y", b"")]
        ),
        ["steps[1].objects.tracks.x.jsonl.n: expected 2, got 3"]
    );
}

#[test]
fn each_expectation_has_an_object_of_its_own() {
    let objects: &[(&str, &[u8])] = &[("a", b"1"), ("b", b"2")];
    let any = || like(".", ContentMatch::Any);
    // Whichever comes first in the file.
    assert!(differences(&[any(), is("a", text("1"))], objects).is_empty());
    assert!(differences(&[like(".", text("2")), like(".", text("1"))], objects).is_empty());
    assert_eq!(
        differences(&[any(), any(), any()], objects),
        [
            "steps[1].objects[2]: expected an object in \"tracks\" whose name is a match of /./, got \"a\", \"b\""
        ]
    );
    assert_eq!(
        differences(&[like(".", text("3"))], objects),
        [
            "steps[1].objects[0]: none of the objects in \"tracks\" whose name is a match of /./ has the expected content: \"a\", \"b\""
        ]
    );
}

#[test]
fn what_must_be_absent_is_told_unless_another_expectation_has_it() {
    let no_other = || like(".", ContentMatch::Absent);
    let objects: &[(&str, &[u8])] = &[("a", b"1"), ("b", b"2")];
    assert_eq!(
        differences(&[no_other(), is("a", text("1"))], objects),
        [
            "steps[1].objects[0]: expected no other object in \"tracks\" whose name is a match of /./, got \"b\""
        ]
    );
    assert_eq!(
        differences(&[is("a", ContentMatch::Absent)], objects),
        ["steps[1].objects[0]: expected no object \"a\" in \"tracks\", got one"]
    );
    assert!(differences(&[no_other()], &[]).is_empty());
}

#[test]
fn what_is_gzipped_by_its_name_is_unpacked() {
    // "hello\n", by gzip -n.
    let packed: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 2, 0, 0x20, 0x30,
        0x3a, 0x36, 6, 0, 0, 0,
    ];
    assert!(differences(&[is("a.gz", text("hello\n"))], &[("a.gz", packed)]).is_empty());
    let raw = || ContentMatch::Raw(BodyMatch::Is(packed.to_vec()));
    assert!(differences(&[is("a.gz", raw())], &[("a.gz", packed)]).is_empty());
    assert!(differences(&[is("a", raw())], &[("a", packed)]).is_empty());
    assert_eq!(
        differences(&[is("a.gz", text("hello\n"))], &[("a.gz", b"hello\n")]),
        [
            "steps[1].objects.tracks.a.gz: its name ends in `.gz`, and it is not gzipped, or larger than 64 MiB"
        ]
    );
}

#[tokio::test]
async fn what_a_case_gives_is_there() {
    let tasks = Tasks::new();
    let plan = ComponentPlan::of_file("tracks".into(), "tracks.wasm".into());
    let object = Object {
        container: "tracks".into(),
        name: "a".into(),
        content: b"x".to_vec(),
    };
    let refused = Containers::filled(&Objects::in_memory(&tasks), &plan, &[object]).await;
    assert!(
        refused.is_err_and(|words| words.contains("\"a\" cannot be given")),
        "nothing is granted"
    );
}
