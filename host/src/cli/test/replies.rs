//! The broker of a case, as far as requests of a component go: replies as the test file says, and an account of what was
//! asked.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hive_config::cases::{RequestAnswer, RequestReply};
use hive_core::json::write_publication;
use hive_core::message::{Message, Publication};
use hive_sandbox::{Requester, Unanswered};
use hive_telemetry::RequestEnd;
use tokio::time::Instant;

use super::compare::{Differences, differs, message, shown_json};

/// Replies to requests.
pub(super) struct Replies {
    answers: Vec<RequestAnswer>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How often each reply was given.
    given: Vec<u64>,
    unanswered: Vec<String>,
}

impl Replies {
    pub(super) fn new(answers: &[RequestAnswer]) -> Self {
        Self {
            seen: Mutex::new(Seen {
                given: vec![0; answers.len()],
                unanswered: Vec::new(),
            }),
            answers: answers.to_vec(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests without a reply, and replies that were asked for too seldom.
    pub(super) fn differences(&self) -> Differences {
        let seen = self.seen();
        let mut found = Differences::new();
        for asked in &seen.unanswered {
            let words = format!("none of the `requests` of the case is {asked}; no queue took it");
            found.push(differs("requests", words));
        }
        for (index, (answer, given)) in self.answers.iter().zip(&seen.given).enumerate() {
            let words = match answer.times {
                Some(times) if times != *given => {
                    format!("expected {times} requests like it, got {given}")
                }
                None if *given == 0 => "expected a request like it, got none".to_owned(),
                _ => continue,
            };
            found.push(differs(&format!("requests[{index}]"), words));
        }
        found
    }

    fn answer(&self, publication: &Publication) -> Result<Message, Unanswered> {
        let asked = write_publication(publication);
        let mut seen = self.seen();
        let answers = self.answers.iter().zip(&mut seen.given);
        let mut fitting = answers.filter(|(answer, given)| {
            answer.times.is_none_or(|times| **given < times)
                && message(&answer.request, &asked, "").is_empty()
        });
        if let Some((answer, given)) = fitting.next() {
            *given += 1;
            return match &answer.reply {
                RequestReply::Message(reply) => Ok(Message::clone(reply)),
                RequestReply::Fails(how) => Err(failed(how)),
            };
        }
        drop(fitting);
        seen.unanswered.push(shown_json(&asked));
        Err(failed(RequestEnd::Unroutable.as_str()))
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
            body: b"450".to_vec(),
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
