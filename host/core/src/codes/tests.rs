//! That codes are written, numbered and explained well, that docs/errors.md has them, and that each is used.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

#[test]
fn a_code_is_read_in_every_way_that_people_write_it() {
    for text in ["HIVE-0103", "hive-0103", "0103", "103", " Hive0103 "] {
        assert_eq!(Code::parse(text), Some(Code::UnknownKey), "{text}");
    }
    for text in [
        "",
        "HIVE-",
        "-",
        "0",
        "9999",
        "00103",
        "HIVE-01o3",
        "+103",
        "é",
    ] {
        assert_eq!(Code::parse(text), None, "{text}");
    }
}

#[test]
fn every_code_has_a_number_of_its_own_in_the_order_of_the_list() {
    for pair in Code::ALL.windows(2) {
        let [one, next] = pair else { unreachable!() };
        assert!(one.as_str() < next.as_str(), "{one} stands before {next}");
    }
    for code in Code::ALL {
        let number = code.as_str().strip_prefix("HIVE-").unwrap();
        assert!(
            number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()),
            "{code}"
        );
        assert_eq!(Code::parse(code.as_str()), Some(*code));
    }
}

#[test]
fn the_hundred_of_a_code_is_that_of_its_area() {
    for pair in Code::ALL.windows(2) {
        let [one, next] = pair else { unreachable!() };
        let same_area = one.explanation().area == next.explanation().area;
        assert_eq!(same_area, one.as_str()[..7] == next.as_str()[..7], "{next}");
    }
}

#[test]
fn every_explanation_is_whole() {
    for code in Code::ALL {
        let Explanation {
            title,
            meaning,
            steps,
            example,
            ..
        } = code.explanation();
        assert!(
            !title.is_empty() && !title.ends_with('.'),
            "{code}: {title}"
        );
        let sentences = meaning.matches(['.', ':']).count();
        assert!(
            meaning.ends_with('.') && sentences >= 1,
            "{code}: {meaning}"
        );
        assert!(steps.iter().all(|step| step.ends_with('.')), "{code}");
        assert!(example.contains(code.as_str()), "{code}: {example}");
    }
}

/// The folder of the workspace.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = here.ancestors();
    let found = folders.find(|folder| folder.join("docs/errors.md").exists());
    found.expect("the page is in the workspace").to_owned()
}

/// The part of docs/errors.md that is made from the codes.
fn page() -> String {
    let mut text = String::new();
    let mut area = "";
    for code in Code::ALL {
        let Explanation {
            area: its_area,
            title,
            meaning,
            steps,
            example,
        } = code.explanation();
        if its_area != area {
            area = its_area;
            text.push_str(&format!("\n## {area}\n"));
        }
        text.push_str(&format!("\n### {code}: {title}\n\n{meaning}\n\n"));
        steps
            .iter()
            .for_each(|step| text.push_str(&format!("- {step}\n")));
        text.push_str(&format!("\n```text\n{example}\n```\n"));
    }
    text
}

/// Writes the page anew, and fails where something else was there.
#[test]
fn the_page_of_errors_has_every_code() {
    const BEGIN: &str = "<!-- begin codes -->\n";
    let path = workspace().join("docs/errors.md");
    let text = fs::read_to_string(&path).expect("the page can be read");
    let (before, found) = text.split_once(BEGIN).expect("the page has the mark");
    let wanted = page();
    if found == wanted {
        return;
    }
    fs::write(&path, format!("{before}{BEGIN}{wanted}")).expect("the page can be written");
    panic!("docs/errors.md was not up to date; it is now, so commit it");
}

/// The code of the host without its tests and without the list of codes.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name.unwrap_or_default() {
            "codes" | "tests" | "tests.rs" | "target" | "benches" => {}
            _ if path.is_dir() => sources(&path, text),
            name if name.ends_with(".rs") => {
                let source = fs::read_to_string(&path).expect("a source can be read");
                text.push_str(
                    source
                        .split("#[cfg(test)]\nmod tests {")
                        .next()
                        .unwrap_or_default(),
                );
            }
            _ => {}
        }
    }
}

#[test]
fn every_code_is_one_of_some_error() {
    let mut text = String::new();
    sources(&workspace().join("host"), &mut text);
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_used = |code: &&Code| {
        let name = format!("Code::{}", code.name());
        let mut found = text.match_indices(&name);
        found.any(|(at, _)| !text[at + name.len()..].starts_with(is_name))
    };
    let unused: Vec<_> = Code::ALL.iter().filter(|code| !is_used(code)).collect();
    assert!(unused.is_empty(), "nothing reports {unused:?}");
}
