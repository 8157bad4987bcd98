//! The broker of a case, as far as requests of a component go: replies as the test file says, and an account of what was
//! asked.

use std::pin::Pin;

use hive_config::cases::{RequestAnswer, RequestReply};
use hive_core::json::write_publication;
use hive_core::message::{Message, Publication};
use hive_sandbox::{Requester, Unanswered};
use hive_telemetry::RequestEnd;
use tokio::time::Instant;

use super::answers::{Answers, Ready};
use super::compare::{Differences, message, shown_json};

/// Replies to requests.
pub(super) struct Replies(Answers<RequestAnswer>);

impl Ready for RequestAnswer {
    const KEY: &'static str = "requests";

    fn times(&self) -> Option<u64> {
        self.times
    }

    fn wanted(&self) -> String {
        "like it".to_owned()
    }

    fn lacked(asked: &str) -> String {
        format!("none of the `requests` of the case is {asked}; no queue took it")
    }
}

impl Replies {
    pub(super) fn new(answers: &[RequestAnswer]) -> Self {
        Self(Answers::new(answers))
    }

    /// See [`Answers::differences`].
    pub(super) fn differences(&self) -> Differences {
        self.0.differences()
    }

    fn answer(&self, publication: &Publication) -> Result<Message, Unanswered> {
        let asked = write_publication(publication);
        let fits = |answer: &RequestAnswer| message(&answer.request, &asked, "").is_empty();
        match self.0.give(fits, || shown_json(&asked)) {
            Some(answer) => match &answer.reply {
                RequestReply::Message(reply) => Ok(Message::clone(reply)),
                RequestReply::Fails(how) => Err(failed(how)),
            },
            None => Err(failed(RequestEnd::Unroutable.as_str())),
        }
    }
}

impl Requester for Replies {
    fn request(
        &self,
        publication: Publication,
        _until: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Message, Unanswered>> + Send + '_>> {
        Box::pin(std::future::ready(self.answer(&publication)))
    }
}

/// The failure that the word of a test file means.
fn failed(how: &str) -> Unanswered {
    let how = how.replace('-', "_");
    let mut ends = RequestEnd::ALL.into_iter();
    let end = ends.find(|end| end.as_str() == how);
    Unanswered {
        end: end.unwrap_or(RequestEnd::Refused),
        text: "the test file has it fail".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hive_config::cases::{MessageMatch, TextMatch};

    use super::*;

    fn answer(routing_key: &str, reply: RequestReply, times: Option<u64>) -> RequestAnswer {
        let texts = vec![("routing-key", TextMatch::Is(routing_key.into()))];
        RequestAnswer {
            request: MessageMatch {
                texts,
                ..MessageMatch::default()
            },
            reply,
            times,
        }
    }

    fn to(routing_key: &str) -> Publication {
        Publication {
            exchange: String::new(),
            routing_key: routing_key.to_owned(),
            message: Message::default(),
            mandatory: true,
            delay: None,
        }
    }

    #[test]
    fn what_is_asked_too_often_or_too_seldom_is_told() {
        let reply = Message {
            body: b"450".as_slice().into(),
            ..Message::default()
        };
        let replies = Replies::new(&[
            answer(
                "rpc.prices",
                RequestReply::Message(reply.clone().into()),
                Some(1),
            ),
            answer("rpc.stock", RequestReply::Fails("timed-out".into()), None),
        ]);
        let end = |asked| replies.answer(&to(asked)).map_err(|failed| failed.end);
        assert_eq!(end("rpc.prices"), Ok(reply));
        assert_eq!(end("rpc.prices"), Err(RequestEnd::Unroutable));
        let found = replies.differences();
        let places: Vec<&str> = found.iter().map(|one| &*one.place).collect();
        assert_eq!(places, ["requests", "requests[1]"]);
        assert_eq!(end("rpc.stock"), Err(RequestEnd::TimedOut));
    }
}
