//! Links, files of the repository, scenarios and metrics that the documents name.

use std::collections::BTreeSet;
use std::path::Path;

/// Whether the rest of a path is plain: no pattern and no placeholder.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
}

/// The texts in backticks outside of blocks of code.
pub fn quoted(page: &str) -> Vec<&str> {
    prose(page).into_iter().flat_map(in_backticks).collect()
}

fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The lines outside of blocks of code.
fn prose(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines
}

/// The files and folders of the repository that a page names in backticks. `tops` are the names in its top
/// folder: `host/src/cli.rs` is a path, `on/off` is none.
pub fn paths<'a>(page: &'a str, tops: &BTreeSet<String>) -> Vec<&'a str> {
    let is_path = |text: &&str| {
        let (top, below) = text.split_once('/').unwrap_or((text, ""));
        tops.contains(top) && is_plain(below)
    };
    quoted(page).into_iter().filter(is_path).collect()
}

/// The targets of the links on a page that lead to files, each with the heading after `#` if there is one.
pub fn links(page: &str) -> Vec<(&str, Option<&str>)> {
    let targets = prose(page).into_iter().flat_map(|line| {
        let rest = line.split("](").skip(1);
        rest.filter_map(|after| after.split_once(')').map(|(target, _)| target))
    });
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    inside
        .map(|target| match target.split_once('#') {
            Some((file, heading)) => (file, Some(heading)),
            None => (target, None),
        })
        .collect()
}

/// The headings of a page as links spell them.
pub fn headings(page: &str) -> BTreeSet<String> {
    let heads = prose(page).into_iter().filter(|line| line.starts_with('#'));
    heads
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

/// As GitHub makes it: lower case, spaces as dashes, without other signs.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The words of a text that begin with `prefix`, such as the names of metrics.
pub fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(prefix) && word.len() > prefix.len())
        .collect()
}

/// Whether a name begins with the number of a behaviour.
pub fn is_numbered(name: &str) -> bool {
    let mut signs = name.chars();
    signs.next() == Some('s')
        && signs.next().is_some_and(|c| c.is_ascii_digit())
        && signs.next().is_some_and(|c| c.is_ascii_digit())
        && signs.next() == Some('_')
}

/// The links of a page that lead nowhere; `read` gives the text of a file, from the page's own folder.
pub fn dead_links(page: &str, read: impl Fn(&Path) -> Option<Option<String>>) -> Vec<String> {
    let mut dead = Vec::new();
    for (file, heading) in links(page) {
        let target = match file {
            "" => Some(Some(page.to_owned())),
            file => read(Path::new(file)),
        };
        let is_there = match (&target, heading) {
            (None, _) => false,
            (Some(Some(text)), Some(heading)) => headings(text).contains(heading),
            (Some(_), _) => true,
        };
        if !is_there {
            let heading = heading.map(|heading| format!("#{heading}"));
            dead.push(format!("{file}{}", heading.unwrap_or_default()));
        }
    }
    dead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_a_name_of_the_top_folder() {
        let tops = ["host".to_owned(), "justfile".to_owned()].into();
        let page =
            "`host/src/cli.rs`, `on/off`, `host/NAME/<x>`, `justfile`\n```\n`host/in/code`\n```\n";
        assert_eq!(paths(page, &tops), ["host/src/cli.rs", "justfile"]);
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading_that_are_there() {
        let read = |path: &Path| match path.to_str() {
            Some("a.md") => Some(Some("# One, two: `three`\n".to_owned())),
            Some("folder") => Some(None),
            _ => None,
        };
        let page = "[a](a.md#one-two-three) [b](a.md#four) [c](gone.md) [d](folder) [e](https://x.y) [f](#here)\n## Here\n";
        assert_eq!(dead_links(page, read), ["a.md#four", "gone.md"]);
    }

    #[test]
    fn the_name_of_a_scenario_begins_with_its_number() {
        assert!(is_numbered("s17_nowhere"));
        assert!(!is_numbered("short") && !is_numbered("s1_not"));
    }

    #[test]
    fn a_metric_is_a_whole_word() {
        let text = "increase(hive_a_total[10m]) > 0 unless hive_b{by=\"x\"}";
        assert_eq!(words(text, "hive_"), ["hive_a_total", "hive_b"].into());
    }
}
