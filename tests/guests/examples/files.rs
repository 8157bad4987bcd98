//! Does to the file or directory of its header `path` what its header `do` says, and tells the queue
//! `out` what came of it.

use std::io;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, text, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let what = text(&delivery, "do").ok_or("no header `do`")?;
    let path = text(&delivery, "path").ok_or("no header `path`")?;
    let done: io::Result<String> = match what.as_str() {
        "read" => std::fs::read_to_string(&path),
        "write" => std::fs::write(&path, body(&delivery)).map(|()| "written".to_owned()),
        "remove" => std::fs::remove_file(&path).map(|()| "removed".to_owned()),
        "rename" => std::fs::rename(&path, format!("{path}.new")).map(|()| "renamed".to_owned()),
        "link" => std::fs::hard_link(&path, format!("{path}.new")).map(|()| "linked".to_owned()),
        "make" => std::fs::create_dir(&path).map(|()| "made".to_owned()),
        other => return Err(format!("it cannot do {other:?}")),
    };
    let told = match done {
        Ok(text) => format!("done: {text}"),
        Err(error) => format!("failed: {:?}", error.kind()),
    };
    Ok(to("", "out", told.as_bytes()).into())
}
