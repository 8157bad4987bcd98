//! The tables of docs/operations.md that are made from the code.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The tests of the tables run at once, and each writes the whole page.
static PAGE: Mutex<()> = Mutex::new(());

/// Puts `table` between the marks of `name`, and fails where something else was there.
#[track_caller]
pub(super) fn assert_table(name: &str, table: &str) {
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = page();
    let text = std::fs::read_to_string(&page).expect("the page can be read");
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .expect("the page has the first mark");
    let (found, after) = rest.split_once(&end).expect("the page has the second mark");
    if found == table {
        return;
    }
    let whole = format!("{before}{begin}{table}{end}{after}");
    std::fs::write(&page, whole).expect("the page can be written");
    panic!(
        "the table of {name} in {} was not up to date; it is now, so commit it",
        page.display()
    );
}

fn page() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = here
        .ancestors()
        .map(|folder| folder.join("docs/operations.md"));
    let mut pages = pages.filter(|page| page.exists());
    pages.next().expect("the page is in the workspace")
}
