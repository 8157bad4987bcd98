//! The answer of a component.

use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{Fields, Malformed};
use super::message::{read_publication, write_publication};
use crate::message::{Action, Retry};

const KINDS: &str = "\"ack\", \"publish\", \"retry\" or \"reject\"";

/// An action as an object.
pub fn write_action(action: &Action) -> Value {
    match action {
        Action::Ack => json!({ "action": "ack" }),
        Action::Publish(publications) => {
            let publications: Vec<Value> = publications.iter().map(write_publication).collect();
            json!({ "action": "publish", "publications": publications })
        }
        Action::Retry(Retry { reason, delay }) => {
            let mut object = json!({ "action": "retry", "reason": reason });
            if let Some(delay) = delay {
                let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                object["delay-ms"] = delay.into();
            }
            object
        }
        Action::Reject(reason) => json!({ "action": "reject", "reason": reason }),
    }
}

/// An action from an object.
///
/// # Errors
///
/// A kind or a key that there is not, or one of another type.
pub fn read_action(value: &Value) -> Result<Action, Malformed> {
    let mut fields = Fields::of(value)?;
    let kind = fields.text("action")?;
    let kind = fields.required("action", kind)?;
    let action = match kind.as_str() {
        "ack" => Action::Ack,
        "publish" => {
            let publications = fields.read("publications", |value| {
                let list = value.as_array();
                let list = list.ok_or_else(|| Malformed::must_be("an array", value))?;
                list.iter().map(read_publication).collect()
            })?;
            Action::Publish(publications.unwrap_or_default())
        }
        "retry" => Action::Retry(Retry {
            reason: fields.text("reason")?.unwrap_or_default(),
            delay: fields.number("delay-ms")?.map(Duration::from_millis),
        }),
        "reject" => Action::Reject(fields.text("reason")?.unwrap_or_default()),
        _ => return Err(Malformed(format!("`action` must be {KINDS}, not {kind:?}"))),
    };
    fields.end()?;
    Ok(action)
}
