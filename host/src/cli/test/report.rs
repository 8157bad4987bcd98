//! How a run is told: for people, as JSON, and as a JUnit file.

use std::fmt::Write as _;
use std::time::Duration;

use hive_core::escape;
use serde_json::{Value, json};

use super::compare::Difference;

/// The result of a case.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) differences: Vec<Difference>,
    /// What the component printed, and what the host has to say.
    pub(super) log: Vec<String>,
    pub(super) took: Duration,
}

/// The cases of a file that were run.
#[derive(Debug)]
pub(super) struct EndedFile {
    pub(super) file: String,
    pub(super) cases: Vec<Ended>,
}

impl Ended {
    pub(super) fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// The differences, a line each.
    fn words(&self) -> String {
        let mut text = String::new();
        for Difference { place, words } in &self.differences {
            let mut lines = words.lines();
            let first = lines.next().unwrap_or_default();
            writeln!(text, "{place}: {first}").expect("a String takes all");
            for line in lines {
                writeln!(text, "  {line}").expect("a String takes all");
            }
        }
        if !self.log.is_empty() {
            text.push_str("log\n");
            for line in &self.log {
                writeln!(text, "  {line}").expect("a String takes all");
            }
        }
        text
    }

    fn write(&self, file: &str, text: &mut String) {
        let Self {
            name, line, took, ..
        } = self;
        let word = if self.passed() { "ok  " } else { "FAIL" };
        let (name, took) = (escape::line(name), milliseconds(*took));
        writeln!(text, "  {word} {name} ({took})").expect("a String takes all");
        if !self.passed() {
            writeln!(text, "       {file}:{line}").expect("a String takes all");
            for line in self.words().lines() {
                writeln!(text, "       {}", escape::line(line)).expect("a String takes all");
            }
        }
    }

    fn object(&self, file: &str) -> Value {
        let differences = self.differences.iter();
        let differences =
            differences.map(|one| json!({ "place": one.place, "difference": one.words }));
        json!({
            "file": file,
            "line": self.line,
            "case": self.name,
            "passed": self.passed(),
            "time-ms": self.took.as_secs_f64() * 1e3,
            "differences": differences.collect::<Vec<_>>(),
            "log": self.log,
        })
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The report as text for people.
pub(super) fn text(files: &[EndedFile], took: Duration) -> String {
    let mut text = String::new();
    for EndedFile { file, cases } in files {
        writeln!(text, "{file}").expect("a String takes all");
        cases.iter().for_each(|case| case.write(file, &mut text));
    }
    let (all, failed) = count(files);
    let passed = all - failed;
    let took = milliseconds(took);
    writeln!(text, "{passed} passed, {failed} failed, in {took}").expect("a String takes all");
    text
}

/// All cases, and those that failed.
pub(super) fn count(files: &[EndedFile]) -> (usize, usize) {
    let cases = || files.iter().flat_map(|file| &file.cases);
    let failed = cases().filter(|case| !case.passed()).count();
    (cases().count(), failed)
}

/// The report as JSON: one object for each case.
pub(super) fn objects(files: &[EndedFile]) -> impl Iterator<Item = Value> {
    files
        .iter()
        .flat_map(|EndedFile { file, cases }| cases.iter().map(move |case| case.object(file)))
}

/// A JUnit file, as CI systems read it.
pub(super) fn junit(files: &[EndedFile], took: Duration) -> String {
    let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
    let (all, failed) = count(files);
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let took = seconds(took);
    writeln!(
        xml,
        "<testsuites name=\"hive-host test\" tests=\"{all}\" failures=\"{failed}\" errors=\"0\" time=\"{took}\">"
    )
    .expect("a String takes all");
    for EndedFile { file, cases } in files {
        let failed = cases.iter().filter(|case| !case.passed()).count();
        let all = cases.len();
        let took = seconds(cases.iter().map(|case| case.took).sum());
        let file = xml_text(file);
        writeln!(
            xml,
            "  <testsuite name=\"{file}\" tests=\"{all}\" failures=\"{failed}\" errors=\"0\" time=\"{took}\">"
        )
        .expect("a String takes all");
        for case in cases {
            let (name, took) = (xml_text(&case.name), seconds(case.took));
            write!(
                xml,
                "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" time=\"{took}\"",
                case.line
            )
            .expect("a String takes all");
            if case.passed() {
                xml.push_str("/>\n");
                continue;
            }
            let first = case.differences.first();
            let first = first.map(|one| format!("{}: {}", one.place, one.words));
            let first = first.unwrap_or_default();
            let message = xml_text(first.lines().next().unwrap_or_default());
            let words = xml_text(&case.words());
            writeln!(
                xml,
                ">\n      <failure message=\"{message}\">{words}</failure>\n    </testcase>"
            )
            .expect("a String takes all");
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// A text within XML 1.0, which has no place at all for most control characters (section 2.2).
fn xml_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if char.is_control() => {
                write!(escaped, "{}", char.escape_default()).expect("a String takes all");
            }
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::compare::differs;
    use super::*;

    fn files() -> Vec<EndedFile> {
        let ended = |name: &str, differences| Ended {
            name: name.into(),
            line: 3,
            differences,
            log: vec!["stdout hello".into()],
            took: Duration::from_millis(2),
        };
        vec![EndedFile {
            file: "a.test.toml".into(),
            cases: vec![
                ended("fine", vec![]),
                ended(
                    "<bad> & \u{1b}",
                    vec![differs("body", "expected \"a\",\ngot b")],
                ),
            ],
        }]
    }

    #[test]
    fn a_failure_is_told_with_its_place_and_its_log() {
        let text = text(&files(), Duration::from_millis(5));
        assert_eq!(
            text,
            "a.test.toml\n  ok   fine (2.0 ms)\n  FAIL <bad> & \\u{1b} (2.0 ms)\n       a.test.toml:3\n       \
             body: expected \"a\",\n         got b\n       log\n         stdout hello\n\
             1 passed, 1 failed, in 5.0 ms\n"
        );
    }

    #[test]
    fn a_junit_file_holds_no_character_that_xml_has_not() {
        let xml = junit(&files(), Duration::from_millis(5));
        assert!(xml.contains("name=\"&lt;bad&gt; &amp; \\u{1b}\""), "{xml}");
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(
            xml.contains("message=\"body: expected &quot;a&quot;,\""),
            "{xml}"
        );
        assert!(!xml.chars().any(|c| c.is_control() && c != '\n'), "{xml}");
    }
}
