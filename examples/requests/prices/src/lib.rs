//! Answers what an article costs.

use hive_guest::{Action, Delivery};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
struct Question {
    article: String,
}

#[derive(Debug, Serialize)]
struct Price {
    cents: Option<u64>,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let Some(reply) = delivery.reply() else {
        return Ok(Action::reject("the question says no reply-to"));
    };
    let question: Question = match delivery.json() {
        Ok(question) => question,
        Err(error) => return Ok(Action::reject(error)),
    };
    let price = Price {
        cents: cents(&question.article),
    };
    Ok(reply.json(&price)?.into())
}

fn cents(article: &str) -> Option<u64> {
    match article {
        "tea" => Some(450),
        "cup" => Some(1_200),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;

    use super::*;

    #[test]
    fn a_question_has_its_answer() {
        let question = DeliveryBuilder::new()
            .text(r#"{"article":"tea"}"#)
            .reply_to("answers");
        let action = handle(question.build()).expect("it answers this");
        let [reply] = action.publications() else {
            panic!("expected one publication, got {action:?}");
        };
        assert_eq!(reply.routing_key, "answers");
        assert_eq!(reply.message.text(), Ok(r#"{"cents":450}"#));
    }
}
