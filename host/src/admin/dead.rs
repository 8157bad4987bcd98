//! Dead letters over HTTP: what [`Desk`] does, with the choice of messages in the query.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hive_core::codes::Code;
use hive_core::json::from_base64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Sources;
use super::audited::Refused;
use super::commands::guarded;
use super::guard::{Guard, operators};
use super::query::{self, flag, number};
use crate::dead::{Choice, Condition, DeskFault, Filter, Job, Revision};

/// Enough for a body that a person edits.
const LARGEST_EDIT: usize = 1 << 20;

/// The query: which messages, and what is to be done with them.
#[derive(Debug, Default)]
struct Asked {
    choice: Choice,
    to: Option<String>,
    expect: Option<u64>,
    name: Option<String>,
    again: bool,
}

/// The body of an edit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    front: Option<Map<String, Value>>,
    body: Option<String>,
    #[serde(rename = "body-base64")]
    body_base64: Option<String>,
}

pub(super) fn routes(guard: &Guard, sources: &Sources) -> Router<Sources> {
    let guarded = |command| guarded(command, guard, sources);
    let looks = Router::new()
        .route("/v1/dead/{queue}/messages", get(messages))
        .route("/v1/dead/{queue}/count", get(count))
        .route("/v1/dead/{queue}/groups", get(groups))
        .route("/v1/dead/{queue}/show", get(show))
        .route_layer(from_fn_with_state(guard.clone(), operators));
    Router::new()
        .route("/v1/dead/{queue}/republish", guarded(post(republish)))
        .route("/v1/dead/{queue}/purge", guarded(post(purge)))
        .route("/v1/dead/{queue}/edit", guarded(post(edit)))
        .layer(DefaultBodyLimit::max(LARGEST_EDIT))
        .merge(looks)
}

async fn messages(State(sources): State<Sources>, Path(queue): Path<String>, uri: Uri) -> Response {
    look(&sources, queue, &uri, Job::List).await
}

async fn count(State(sources): State<Sources>, Path(queue): Path<String>, uri: Uri) -> Response {
    look(&sources, queue, &uri, Job::Count).await
}

async fn groups(State(sources): State<Sources>, Path(queue): Path<String>, uri: Uri) -> Response {
    look(&sources, queue, &uri, Job::Groups).await
}

async fn show(State(sources): State<Sources>, Path(queue): Path<String>, uri: Uri) -> Response {
    look(&sources, queue, &uri, Job::Show).await
}

async fn look(sources: &Sources, queue: String, uri: &Uri, job: Job) -> Response {
    match asked(queue, uri) {
        Ok(Asked {
            choice,
            to: None,
            expect: None,
            name: None,
            again: false,
        }) => answer(sources.desk.carry_out(choice, job).await),
        Ok(_) => misused("`to`, `expect`, `name` and `again` are for commands"),
        Err(error) => misused(&error),
    }
}

async fn republish(
    State(sources): State<Sources>,
    Path(queue): Path<String>,
    uri: Uri,
) -> Response {
    let asked = asked(queue, &uri).and_then(|asked| {
        let expect = asked.expected()?;
        let to = asked.to;
        Ok((asked.choice, Job::Republish { to, expect }))
    });
    match asked {
        Ok((choice, job)) => answer(sources.desk.carry_out(choice, job).await),
        Err(error) => misused(&error),
    }
}

async fn purge(State(sources): State<Sources>, Path(queue): Path<String>, uri: Uri) -> Response {
    let asked = asked(queue, &uri).and_then(|asked| {
        let expect = asked.expected()?;
        let name = asked.name;
        let name = name.ok_or("type the queue's name: `name` is missing")?;
        Ok((asked.choice, Job::Purge { name, expect }))
    });
    match asked {
        Ok((choice, job)) => answer(sources.desk.carry_out(choice, job).await),
        Err(error) => misused(&error),
    }
}

async fn edit(
    State(sources): State<Sources>,
    Path(queue): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Response {
    let asked = asked(queue, &uri).and_then(|asked| {
        if asked.choice.filter.is_everything() {
            return Err("say which message, as in `where=number=3`".to_owned());
        }
        let edit: Edit = match body.is_empty() {
            true => Edit::default(),
            false => serde_json::from_slice(&body).map_err(|error| format!("the body: {error}"))?,
        };
        let body = match (edit.body, edit.body_base64) {
            (Some(_), Some(_)) => {
                return Err("`body` and `body-base64` exclude one another".to_owned());
            }
            (Some(text), None) => Some(text.into_bytes()),
            (None, Some(text)) => {
                Some(from_base64(&text).map_err(|fault| format!("body-base64 {fault}"))?)
            }
            (None, None) => None,
        };
        let revision = Revision {
            front: edit.front,
            body,
            to: asked.to,
            again: asked.again,
        };
        Ok((asked.choice, Job::Edit(revision)))
    });
    match asked {
        Ok((choice, job)) => answer(sources.desk.carry_out(choice, job).await),
        Err(error) => misused(&error),
    }
}

impl Asked {
    fn expected(&self) -> Result<u64, String> {
        self.expect.ok_or_else(|| {
            "say how many messages are expected: `expect` is missing; `count` counts them"
                .to_owned()
        })
    }
}

/// Reads the query; a key that there is not is a fault.
fn asked(queue: String, uri: &Uri) -> Result<Asked, String> {
    let mut asked = Asked::default();
    asked.choice.name = queue;
    let mut conditions = Vec::new();
    for (name, value) in query::pairs(uri)? {
        match name {
            "where" => conditions.push(Condition::parse(&value)?),
            "group" => conditions.push(Condition::group(&value)?),
            "limit" => asked.choice.limit = Some(number(name, &value)?),
            "connection" => asked.choice.connection = Some(value),
            "exact" => asked.choice.is_exact = flag(name, &value)?,
            "counted" => asked.choice.may_count = flag(name, &value)?,
            "to" => asked.to = Some(value),
            "expect" => asked.expect = Some(number(name, &value)?),
            "name" => asked.name = Some(value),
            "again" => asked.again = flag(name, &value)?,
            _ => return Err(format!("there is no {name:?} in a query here")),
        }
    }
    asked.choice.filter = Filter::new(conditions);
    Ok(asked)
}

fn answer(done: Result<Value, DeskFault>) -> Response {
    let fault = match done {
        Ok(done) => return Json(done).into_response(),
        Err(fault) => fault,
    };
    let status = match &fault {
        DeskFault::Misused(_) => StatusCode::BAD_REQUEST,
        DeskFault::Hidden => StatusCode::FORBIDDEN,
        DeskFault::Conflict(_) | DeskFault::Counted(_) => StatusCode::CONFLICT,
        DeskFault::Away(_) | DeskFault::Busy | DeskFault::Stopping => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let mut view = json!({ "error": fault.to_string() });
    if let Some(code) = fault.code().map(Code::as_str) {
        view["code"] = code.into();
    }
    if matches!(fault, DeskFault::Counted(_)) {
        view["counted"] = true.into();
    }
    let mut answer = (status, Json(view)).into_response();
    answer.extensions_mut().insert(Refused(fault.code()));
    answer
}

fn misused(error: &str) -> Response {
    answer(Err(DeskFault::Misused(error.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Asked, String> {
        let uri = format!("/v1/dead/orders/count?{query}").parse();
        asked("orders".to_owned(), &uri.expect("it is a URI"))
    }

    #[test]
    fn a_query_says_which_messages_and_what_to_do() {
        let asked = read("where=error~refused+by%20it&where=number=3&limit=2&expect=7&to=a%26b");
        let asked = asked.expect("it makes sense");
        assert_eq!((asked.choice.limit, asked.expect), (Some(2), Some(7)));
        assert_eq!(asked.to.as_deref(), Some("a&b"));
        let conditions = ["error~refused by it", "number=3"].map(Condition::parse);
        let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
        assert_eq!(
            asked.choice.filter,
            Filter::new(conditions.expect("they do"))
        );
    }

    #[test]
    fn what_makes_no_sense_is_answered() {
        for (query, words) in [
            ("wher=x", "there is no \"wher\""),
            ("where=reasn=x", "did you mean `reason`"),
            ("limit=many", "`limit` is to be a number"),
            ("exact=1", "`exact` is to be true or false"),
            ("where=body=%ff", "not UTF-8"),
            (
                &format!("where=error={}", "x".repeat(16 << 10)),
                "more than 16384 bytes",
            ),
        ] {
            let fault = read(query).expect_err(query);
            assert!(fault.contains(words), "{fault}");
        }
    }
}
