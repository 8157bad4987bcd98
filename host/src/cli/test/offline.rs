//! The network of a case: answers as the test file says, and an account of what was asked.

use hive_config::cases::{HttpAnswer, HttpReply};
use hive_sandbox::{HttpOutcome, HttpRequest, Network};

use super::answers::{Answers, Ready};
use super::compare::{Differences, body, holds, shown, wanted};

/// Answers requests.
pub(super) struct Offline(Answers<HttpAnswer>);

impl Ready for HttpAnswer {
    const KEY: &'static str = "http";

    fn times(&self) -> Option<u64> {
        self.times
    }

    fn wanted(&self) -> String {
        format!("to {}", wanted(&self.url))
    }

    fn lacked(asked: &str) -> String {
        format!("no `http` of the case answers {asked}; it was refused")
    }
}

impl Offline {
    pub(super) fn new(answers: &[HttpAnswer]) -> Self {
        Self(Answers::new(answers))
    }

    /// See [`Answers::differences`].
    pub(super) fn differences(&self) -> Differences {
        self.0.differences()
    }
}

impl Network for Offline {
    fn answer(&self, request: HttpRequest) -> HttpOutcome {
        let asked = || {
            let HttpRequest {
                method, url, body, ..
            } = &request;
            let body = match body.is_empty() {
                true => String::new(),
                false => format!(" with the body {}", shown(&String::from_utf8_lossy(body))),
            };
            format!("{method} {url}{body}")
        };
        match self.0.give(|answer| fits(answer, &request), asked) {
            Some(answer) => outcome(&answer.reply),
            None => HttpOutcome::Refused,
        }
    }
}

fn fits(answer: &HttpAnswer, request: &HttpRequest) -> bool {
    let is_there = |(name, value): &(String, String)| {
        let mut headers = request.headers.iter();
        headers.any(|(known, got)| known.eq_ignore_ascii_case(name) && got == value)
    };
    let method = answer.method.as_ref();
    method.is_none_or(|method| request.method.eq_ignore_ascii_case(method))
        && holds(&answer.url, &request.url)
        && answer.request_headers.iter().all(is_there)
        && answer
            .request_body
            .as_ref()
            .is_none_or(|expected| body(expected, &request.body, "").is_empty())
}

fn outcome(reply: &HttpReply) -> HttpOutcome {
    match reply {
        HttpReply::Response {
            status,
            headers,
            body,
        } => HttpOutcome::Response {
            status: *status,
            headers: headers.clone(),
            body: body.clone(),
        },
        HttpReply::Fails(how) => match how.as_str() {
            "timeout" => HttpOutcome::TimedOut,
            "closed" => HttpOutcome::Closed,
            _ => HttpOutcome::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use hive_config::cases::TextMatch;

    use super::*;

    fn answer(url: &str, times: Option<u64>) -> HttpAnswer {
        HttpAnswer {
            url: TextMatch::Is(url.into()),
            method: Some("get".into()),
            request_headers: vec![("Accept".into(), "text/plain".into())],
            request_body: None,
            reply: HttpReply::Fails("timeout".into()),
            times,
        }
    }

    fn request(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            url: url.into(),
            headers: vec![("accept".into(), "text/plain".into())],
            body: Vec::new(),
        }
    }

    #[test]
    fn what_is_asked_too_often_or_too_seldom_is_told() {
        let network = Offline::new(&[answer("http://a/", Some(1)), answer("http://b/", None)]);
        assert_eq!(network.answer(request("http://a/")), HttpOutcome::TimedOut);
        assert_eq!(network.answer(request("http://a/")), HttpOutcome::Refused);
        let found = network.differences();
        let words: Vec<&str> = found.iter().map(|one| &*one.words).collect();
        assert_eq!(
            words,
            [
                "no `http` of the case answers GET http://a/; it was refused",
                "expected a request to \"http://b/\", got none"
            ]
        );
    }
}
