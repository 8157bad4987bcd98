//! Prints each batch, and does to each message what its body asks for: `NUMBER BEHAVIOUR`. What it hands
//! on to the queue `out` is the number. Some behaviours are those of a whole batch.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, sleep, to};

/// More than a batch of a scenario that looks at what is printed.
const PRINTED: usize = 20;

#[hive_guest::batch_consumer]
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn handle(deliveries: Vec<Delivery>) -> Result<Vec<Action>, String> {
    let texts: Vec<String> = deliveries.iter().map(body).collect();
    let asked: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| text.split_once(' ').unwrap_or((text, "ack")))
        .collect();
    let names = asked.iter().zip(&deliveries).take(PRINTED);
    let names: Vec<String> = names
        .map(|((number, _), delivery)| format!("{number}/{}", delivery.attempt))
        .collect();
    println!("batch of {}: {}", deliveries.len(), names.join(" "));
    let mut actions = Vec::new();
    for ((number, behaviour), delivery) in asked.into_iter().zip(&deliveries) {
        match behaviour {
            "error" => return Err("asked to".to_owned()),
            "trap" => panic!("asked to"),
            "trap-once" if delivery.attempt == 1 => panic!("asked to, once"),
            "hang" => loop {
                std::hint::black_box(());
            },
            "hog" => drop(std::hint::black_box(vec![1_u8; 1 << 30])),
            "one-less" => continue,
            "one-more" => actions.push(Action::Ack),
            "slow" => sleep(Duration::from_secs(5)),
            _ => {}
        }
        actions.push(action(number, behaviour, delivery));
    }
    Ok(actions)
}

/// What the behaviour is for one delivery alone.
fn action(number: &str, behaviour: &str, delivery: &Delivery) -> Action {
    let hand_on = || to("", "out", number.as_bytes());
    match behaviour {
        "ack" => Action::Ack,
        "retry" if delivery.attempt == 1 => Action::retry("not at the first attempt"),
        "reject" => Action::reject("asked to"),
        "elsewhere" => Action::publish([to("", "elsewhere", b"")]),
        "nowhere" => Action::publish([to("", "no-such-queue", b"")]),
        "too-many" => Action::publish((0..2000).map(|_| hand_on())),
        "too-much" => Action::publish([to("", "out", &vec![0; 1 << 20])]),
        _ => Action::publish([hand_on()]),
    }
}
