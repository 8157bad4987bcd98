//! Tests of the loader as a whole; the golden files in `host/tests/config` show what it tells.

use proptest::prelude::*;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        hostname: "machine".to_owned(),
    }
}

#[test]
fn placeholder() {
    let _ = environment(&[]);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,400}") {
        let _ = load_text(Path::new("hive.toml"), &text, &environment(&[]));
    }
}
