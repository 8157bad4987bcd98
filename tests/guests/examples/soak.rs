//! Does to each message what its body asks for: `NUMBER BEHAVIOUR`. What it hands on to the queue
//! `out` is the number.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, sleep, to};

#[hive_guest::consumer]
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let text = body(&delivery);
    let Some((number, behaviour)) = text.split_once(' ') else {
        return Ok(Action::reject("it asks for nothing"));
    };
    let hand_on = || Ok(Action::publish([to("", "out", number.as_bytes())]));
    match behaviour {
        "ack" => {
            // Nothing else shows that it was handled.
            println!("handled {number}");
            Ok(Action::Ack)
        }
        "publish" => hand_on(),
        "retry" if delivery.attempt == 1 => Err("not at the first attempt".to_owned()),
        "retry" => hand_on(),
        "slow" => {
            sleep(Duration::from_millis(700));
            hand_on()
        }
        "trap" => panic!("asked to"),
        "hang" => loop {
            std::hint::black_box(());
        },
        _ => Ok(Action::reject("asked to")),
    }
}
