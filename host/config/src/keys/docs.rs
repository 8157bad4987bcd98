//! The tables of docs/configuration.md, made from the declarations.

use std::path::Path;
use std::time::Duration;

use super::{Key, LONGEST, ROOT, Shape, Unset};
use crate::units;

/// The rows of one section's table.
#[derive(Default)]
struct Rows {
    text: String,
    /// The tables within it that have their rows, with their names.
    told: Vec<(*const Key, String)>,
}

impl Rows {
    fn table(&mut self, keys: &'static [Key], before: &str) {
        for key in keys {
            self.key(key, before);
        }
    }

    fn key(&mut self, key: &Key, before: &str) {
        let name = format!("{before}{}", key.name);
        let inside = match key.shape {
            Shape::Table(keys) | Shape::Short(_, keys) => Some((keys, format!("{name}."))),
            Shape::Named(keys) => Some((keys, format!("{name}.NAME."))),
            Shape::List(Shape::Table(keys)) => Some((*keys, format!("{name}[]."))),
            _ => None,
        };
        let told = inside.as_ref().and_then(|(keys, _)| {
            let mut told = self.told.iter();
            told.find(|(told, _)| *told == keys.as_ptr())
        });
        let mut shape = key.written.map_or_else(|| words(&key.shape), str::to_owned);
        if let Some((_, other)) = told {
            shape = format!("table, as `{other}`");
        }
        let default = default(key, before);
        let meaning = key.meaning;
        self.text
            .push_str(&format!("| `{name}` | {shape} | {default} | {meaning} |\n"));
        if let (Some((keys, before)), None) = (inside, told) {
            self.told.push((keys.as_ptr(), name));
            self.table(keys, &before);
        }
    }
}

/// The cell of the default. A key may be required in a table that is itself optional.
fn default(key: &Key, before: &str) -> String {
    match key.unset {
        Unset::Is(default) => format!("`{default}`"),
        Unset::Means(words) => words.to_owned(),
        Unset::Nothing if !key.required => String::new(),
        Unset::Nothing => match before.trim_end_matches(['.', '[', ']']) {
            "" => "required".to_owned(),
            table => format!("required in `{table}`"),
        },
    }
}

/// The type of a value, for the author of a file.
fn words(shape: &Shape) -> String {
    let time = |milliseconds: u64| units::show(Duration::from_millis(milliseconds));
    match shape {
        Shape::Boolean => "boolean".to_owned(),
        Shape::Integer(least, i64::MAX) => format!("integer, at least {least}"),
        Shape::Integer(least, most) => format!("integer, {least} to {most}"),
        Shape::Text | Shape::Verbatim => "string".to_owned(),
        Shape::Name => "name".to_owned(),
        Shape::Secret => "secret".to_owned(),
        Shape::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word:?}`")).collect();
            words.join(", ")
        }
        Shape::Ratio => "number above 0 and up to 1".to_owned(),
        Shape::Duration(0, LONGEST) => "duration, may be zero".to_owned(),
        Shape::Duration(1, LONGEST) => "duration".to_owned(),
        Shape::Duration(least, LONGEST) => format!("duration, at least `\"{}\"`", time(*least)),
        Shape::Duration(0, most) => format!("duration, `\"0s\"` to `\"{}\"`", time(*most)),
        Shape::Duration(_, most) => format!("duration, at most `\"{}\"`", time(*most)),
        Shape::DurationOr(word, ..) => format!("duration, or `{word:?}`"),
        Shape::Size(least) => format!("size, at least `\"{}KiB\"`", least / 1024),
        Shape::TextOrTexts => "string, or array of strings".to_owned(),
        Shape::Table(_) | Shape::Arguments => "table".to_owned(),
        Shape::Texts => "table of strings".to_owned(),
        other => panic!("a row with {} has to say how it is written", other.wanted()),
    }
}

/// The page with this text between two marks.
fn between(page: &str, begin: &str, end: &str, text: &str) -> String {
    let (before, rest) = page
        .split_once(begin)
        .unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(end).expect("each part has an end");
    format!("{before}{begin}{text}{end}{after}")
}

/// The sentence with the secret keys.
fn secrets() -> String {
    let mut names = Vec::new();
    for section in ROOT {
        match section.shape {
            Shape::Named(keys) => gather(keys, &format!("{}.NAME.", section.name), &mut names),
            Shape::Table(keys) => gather(keys, &format!("{}.", section.name), &mut names),
            _ => {}
        }
    }
    format!("The secret keys: {}.\n", names.join(", "))
}

/// The names of secret keys.
fn gather(keys: &[Key], before: &str, names: &mut Vec<String>) {
    for key in keys {
        match key.shape {
            Shape::Secret => names.push(format!("`{before}{}`", key.name)),
            Shape::Table(keys) => gather(keys, &format!("{before}{}.", key.name), names),
            Shape::Named(keys) => gather(keys, &format!("{before}{}.NAME.", key.name), names),
            _ => {}
        }
    }
}

/// Writes the tables anew, and fails where something else was there.
#[test]
fn the_page_has_the_table_of_every_section() {
    let mut pages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let page = pages.find_map(|folder| {
        let page = folder.join("docs/configuration.md");
        page.exists().then_some(page)
    });
    let page = page.expect("the page is in the workspace");
    let found = std::fs::read_to_string(&page).expect("the page can be read");
    let mut wanted = found.clone();
    for section in ROOT {
        let keys = match section.shape {
            Shape::Named(keys) | Shape::Table(keys) => keys,
            _ => {
                assert!(found.contains(&format!("\n## `{}`\n", section.name)));
                continue;
            }
        };
        let mut rows = Rows::default();
        rows.table(keys, "");
        let begin = format!("<!-- begin keys of {} -->\n", section.name);
        let head = "| key | type | default | meaning |\n|---|---|---|---|\n";
        let table = format!("{head}{}", rows.text);
        wanted = between(&wanted, &begin, "<!-- end keys -->", &table);
    }
    wanted = between(
        &wanted,
        "<!-- begin secrets -->\n",
        "<!-- end secrets -->",
        &secrets(),
    );
    if found != wanted {
        std::fs::write(&page, wanted).expect("the page can be written");
        panic!("docs/configuration.md was not up to date; it is now, so commit it");
    }
}
