//! A request over HTTP as expressions see it.

use std::sync::OnceLock;

use cel::common::types::CelString;
use cel::common::value::CowVal;
use cel::context::VariableResolver;

use crate::json::{self, Seen};
use crate::scope::Sight;
use crate::view::{map, seen};

/// One request, for as many expressions as look at it.
#[derive(Debug)]
pub struct Request<'r> {
    path: Seen<'r>,
    headers: Seen<'r>,
    body: &'r [u8],
    parsed: OnceLock<Result<Seen<'r>, String>>,
}

impl<'r> Request<'r> {
    /// With what its path captured, its headers under the names that expressions use, and its body, which is JSON or
    /// has no value.
    pub fn new(
        path: impl Iterator<Item = (&'r str, &'r str)>,
        headers: impl Iterator<Item = (&'r str, &'r str)>,
        body: &'r [u8],
    ) -> Self {
        Self {
            path: map(path.map(text)),
            headers: map(headers.map(text)),
            body,
            parsed: OnceLock::new(),
        }
    }
}

fn text<'r>((name, value): (&'r str, &'r str)) -> (&'r str, Seen<'r>) {
    (name, seen(CelString::from(value)))
}

impl VariableResolver for Request<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "path" => Some(CowVal::Borrowed(&*self.path)),
            "headers" => Some(CowVal::Borrowed(&*self.headers)),
            "body" => {
                let parse = || json::parse(self.body).map_err(|error| error.to_string());
                let parsed = self.parsed.get_or_init(parse);
                Some(CowVal::Borrowed(&**parsed.as_ref().ok()?))
            }
            _ => None,
        }
    }
}

impl Sight for Request<'_> {
    fn fault_of_body(&self) -> Option<&str> {
        self.parsed.get()?.as_ref().err().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::{Failure, Why};
    use crate::{Scope, Template};

    use super::*;

    fn text(template: &str) -> Result<String, Failure> {
        let captures = ["tenant".to_owned()];
        let template = Template::compile_in(template, Scope::Request(&captures));
        let request = Request::new(
            [("tenant", "acme")].into_iter(),
            [("x_request", "r-1")].into_iter(),
            br#"{"kind": "play"}"#,
        );
        template.expect("it compiles").text(&request)
    }

    fn fault(template: &str) -> String {
        let captures = ["tenant".to_owned()];
        let compiled = Template::compile_in(template, Scope::Request(&captures));
        compiled.expect_err("it does not compile").to_string()
    }

    #[test]
    fn a_text_has_what_the_path_the_headers_and_the_body_say() {
        let written =
            text("{{ path.tenant }}.{{ body.kind.upperAscii() }}.{{ headers.x_request }}");
        assert_eq!(written.unwrap(), "acme.PLAY.r-1");
    }

    #[test]
    fn what_a_request_lacks_has_no_text() {
        let why = text("{{ headers.x_tenant }}").unwrap_err().why;
        assert!(matches!(why, Why::Missing(_)), "{why:?}");
    }

    #[test]
    fn names_that_no_request_has_are_found_when_the_file_is_read() {
        let unknown = fault("{{ path.tenent }}");
        assert!(unknown.contains("did you mean `tenant`"), "{unknown}");
        let of_deliveries = fault("{{ routing_key }}");
        assert!(of_deliveries.contains("does not exist"), "{of_deliveries}");
    }
}
