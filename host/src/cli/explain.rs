//! `hive-host explain`: what an error code means and what to do.

use clap::Args;
use hive_core::codes::{Code, Explanation};
use serde_json::{Value, json};

use super::Exit;
use super::say::{self, fault};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host explain HIVE-0103\n  \
    hive-host explain 103\n  \
    hive-host explain";

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The code, or its number alone; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Prints a JSON object, or without a code an array of them
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Explain) -> Result<Exit, Exit> {
    let code = arguments.code.as_deref().map(find).transpose()?;
    match (code, arguments.json) {
        (Some(code), false) => say::lines(&text(code)),
        (Some(code), true) => say::json(&format_args!("{:#}", object(code))),
        (None, false) => say::lines(&list()),
        (None, true) => {
            let all: Value = Code::ALL.iter().copied().map(object).collect();
            say::json(&format_args!("{all:#}"));
        }
    }
    Ok(Exit::Done)
}

fn find(text: &str) -> Result<Code, Exit> {
    Code::parse(text).ok_or_else(|| {
        fault!(
            "there is no error code {text:?}; write it as in HIVE-0103 or 103; `hive-host explain` lists them all"
        );
        Exit::Misused
    })
}

fn text(code: Code) -> String {
    let Explanation {
        title,
        meaning,
        steps,
        example,
        ..
    } = code.explanation();
    let steps: Vec<_> = steps.iter().map(|step| format!("- {step}")).collect();
    format!(
        "{code}: {title}\n\n{meaning}\n\nWhat to do:\n{}\n\nExample:\n  {example}\n",
        steps.join("\n")
    )
}

fn list() -> String {
    let mut text = String::new();
    let mut area = "";
    for code in Code::ALL {
        let explanation = code.explanation();
        if explanation.area != area {
            let gap = if area.is_empty() { "" } else { "\n" };
            area = explanation.area;
            text.push_str(&format!("{gap}{area}\n"));
        }
        text.push_str(&format!("  {code}  {}\n", explanation.title));
    }
    text
}

fn object(code: Code) -> Value {
    let Explanation {
        area,
        title,
        meaning,
        steps,
        example,
    } = code.explanation();
    json!({
        "code": code.as_str(),
        "area": area,
        "title": title,
        "meaning": meaning,
        "steps": steps,
        "example": example,
    })
}
