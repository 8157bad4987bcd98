//! Sends the request in its body, `EXCHANGE ROUTING-KEY MS TEXT` (`-` for the default exchange, or no time of its own), and
//! tells the queue `out` the text that it asked with, and the reply or the failure. A header `reply-to` is put into the
//! request's properties, a header `header` into its headers.

use std::time::Duration;

use hive_guest::requests::{self, Error};
use hive_guest::{Action, Delivery, Message, Publication};
use hive_test_guests::{body, text};

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer(stop = goodbye)]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let asked = body(&delivery);
    let mut words = asked.splitn(4, ' ');
    let mut word = || words.next().ok_or("there are too few words");
    let (exchange, key, wait, question) = (word()?, word()?, word()?, word()?);
    let exchange = if exchange == "-" { "" } else { exchange };
    let mut request = Publication::to(exchange, key).text(question);
    request.message.properties.reply_to = text(&delivery, "reply-to");
    if let Some(value) = text(&delivery, "header") {
        request = request.header("header", value);
    }
    let reply = match wait.parse() {
        Ok(wait) => requests::request_within(request, Duration::from_millis(wait)),
        Err(_) => requests::request(request),
    };
    let told = told(question, reply);
    println!("{told}");
    Ok(Publication::to_queue("out").text(told).into())
}

fn told(question: &str, reply: Result<Message, Error>) -> String {
    match reply {
        Ok(reply) => {
            let bytes = reply.body.len();
            let said = reply
                .text()
                .map_or("", |text| text.get(..200).unwrap_or(text));
            format!("{question}: {said} ({bytes})")
        }
        Err(Error { failure, text }) => format!("{question}: {failure:?}: {text}"),
    }
}

/// There is no delivery, so nothing can be asked.
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn goodbye(_reason: hive_guest::StopReason) {
    let reply = requests::request(Publication::to_queue("rpc.a").text("goodbye"));
    println!("{}", told("goodbye", reply));
}
