//! Shows problems on a terminal, in the way that compilers do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use hive_core::escape;

use super::problem::{Problem, Severity};

/// Renders each problem with its line, a caret and the remedy, and closes with their number.
/// The answer is empty for no problems and ends with a line break otherwise.
pub fn render(problems: &[Problem], colour: bool) -> String {
    let Some(first) = problems.first() else {
        return String::new();
    };
    let renderer = match colour {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let mut text = String::new();
    for problem in problems {
        text.push_str(&renderer.render(&[group(problem)]));
        text.push_str("\n\n");
    }
    let mut files: Vec<_> = problems.iter().map(|problem| &problem.file).collect();
    files.sort();
    files.dedup();
    let place = match files.len() {
        1 => first.file.display().to_string(),
        number => format!("{number} files"),
    };
    text.push_str(&format!("{place}: {}\n", count(problems)));
    text
}

/// One problem as a title, an excerpt and a remedy.
fn group(problem: &Problem) -> Group<'_> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(escape::line(&problem.to_string()).into_owned())
        .id(problem.code.as_str());
    let help = Level::HELP.message(escape::line(&problem.remedy));
    match &problem.excerpt {
        None => Group::with_title(title).element(help),
        Some(excerpt) => {
            let caret = AnnotationKind::Primary.span(excerpt.span.clone());
            let snippet = Snippet::source(excerpt.text.as_str())
                .line_start(excerpt.line)
                .path(problem.file.display().to_string())
                .annotation(caret);
            title.element(snippet).element(help)
        }
    }
}

/// The number of problems, as in `2 errors, 1 warning`.
fn count(problems: &[Problem]) -> String {
    let number = |severity, word: &str| {
        let n = problems.iter().filter(|p| p.severity == severity).count();
        match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        }
    };
    [
        number(Severity::Error, "error"),
        number(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}
