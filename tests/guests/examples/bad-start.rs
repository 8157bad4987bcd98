//! Does in `start` what `start` in its configuration says: `hoard` memory, `trap`, or `spin`.

use hive_guest::{Action, Delivery};

const MEBIBYTE: usize = 1 << 20;

#[hive_guest::consumer(start = start)]
fn handle(_delivery: Delivery) -> Action {
    Action::Ack
}

fn start() -> Result<(), String> {
    match hive_guest::config::get("start").as_deref() {
        Some("hoard") => {
            let mut taken: Vec<Vec<u8>> = Vec::new();
            loop {
                taken.push(std::hint::black_box(vec![1; MEBIBYTE]));
            }
        }
        Some("trap") => panic!("boom in start"),
        Some("spin") => loop {
            std::hint::spin_loop();
        },
        other => Err(format!("there is no start of the name {other:?}")),
    }
}
