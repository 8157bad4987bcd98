//! A dead letter as a person edits it: a JSON object with its properties, a line `---`, and its body.
//!
//! What is not named in the object is taken off; the body below the line is taken as it is, to the byte.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json::{read_message, write_message};
use crate::message::{Message, RESERVED};

/// Between the properties and the body.
const LINE: &str = "---";

/// The keys of a message that hold its body.
const BODIES: [&str; 3] = ["body", "body-base64", "body-json"];

/// What of a dead letter can be edited.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The body, the properties, and the headers without the host's own.
    pub message: Message,
    /// The routing key that a consumer sees.
    pub routing_key: String,
}

impl Draft {
    /// Everything but the body, in the form of docs/message-format.md.
    pub fn front(&self) -> Map<String, Value> {
        let properties = self.message.properties.clone();
        let body = Bytes::new();
        let written = write_message(&Message { properties, body });
        let mut front = Map::new();
        front.insert("routing-key".into(), self.routing_key.as_str().into());
        if let Value::Object(written) = written {
            let kept = written.into_iter();
            front.extend(kept.filter(|(name, _)| !BODIES.contains(&name.as_str())));
        }
        front
    }

    /// The same body under another front.
    ///
    /// # Errors
    ///
    /// In words: a key that there is not, a value of another type, a header of the host.
    pub fn with_front(self, mut front: Map<String, Value>) -> Result<Self, String> {
        let routing_key = match front.remove("routing-key") {
            Some(Value::String(key)) => key,
            Some(_) => return Err("routing-key must be a string".to_owned()),
            None => String::new(),
        };
        if front.contains_key("message-id") {
            return Err(
                "message-id: an edit gives the message an id that is made of the old one"
                    .to_owned(),
            );
        }
        if let Some(name) = BODIES.iter().find(|name| front.contains_key(**name)) {
            return Err(format!("{name}: the body is below the line {LINE}"));
        }
        let read = read_message(&Value::Object(front)).map_err(|fault| fault.to_string())?;
        let mut names = read.properties.headers.iter().map(|(name, _)| name);
        if let Some(name) = names.find(|name| name.starts_with(RESERVED)) {
            return Err(format!(
                "header {name:?}: names that begin with {RESERVED:?} are the host's own"
            ));
        }
        Ok(Self {
            message: Message {
                body: self.message.body,
                ..read
            },
            routing_key,
        })
    }

    /// The text for an editor. `None` for a body that is not text.
    pub fn text(&self) -> Option<String> {
        let body = std::str::from_utf8(&self.message.body).ok()?;
        let front = Value::Object(self.front());
        Some(format!("{front:#}\n{LINE}\n{body}"))
    }

    /// Reads what an editor has made of [`Self::text`].
    ///
    /// # Errors
    ///
    /// In words, with what to do.
    pub fn read(&self, text: &str) -> Result<Self, String> {
        let split = text.split_once(&format!("\n{LINE}\n"));
        let (front, body) =
            split.ok_or_else(|| format!("there is no line {LINE} between properties and body"))?;
        let front = match serde_json::from_str(front) {
            Ok(Value::Object(front)) => front,
            Ok(_) => {
                return Err(format!(
                    "what is above the line {LINE} is not a JSON object"
                ));
            }
            Err(error) => {
                return Err(format!(
                    "what is above the line {LINE} is not JSON: {error}"
                ));
            }
        };
        // Editors end a file with a line end.
        let body = match (self.message.body.ends_with(b"\n"), body.strip_suffix('\n')) {
            (false, Some(stripped)) => stripped,
            _ => body,
        };
        let mut draft = self.clone();
        draft.message.body = body.to_owned().into();
        draft.with_front(front)
    }

    /// Whether its body may take the place of that of `before`: JSON stays JSON.
    ///
    /// # Errors
    ///
    /// In words: where the JSON ends.
    pub fn replaces(&self, before: &Self) -> Result<(), String> {
        let json = |body: &[u8]| serde_json::from_slice::<Value>(body).map(|_| ());
        match (json(&before.message.body), json(&self.message.body)) {
            (Ok(()), Err(error)) => Err(format!(
                "the body is not JSON any more, and it was before: {error}"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FieldValue, Properties};

    fn draft(body: &str) -> Draft {
        Draft {
            message: Message {
                properties: Properties {
                    content_type: Some("application/json".to_owned()),
                    priority: Some(3),
                    persistent: true,
                    headers: vec![("weight".to_owned(), FieldValue::Integer(7))],
                    ..Properties::default()
                },
                body: body.to_owned().into(),
            },
            routing_key: "order.web".to_owned(),
        }
    }

    #[test]
    fn what_an_editor_leaves_alone_is_as_it_was() {
        for body in ["{\"id\":1}", "two\nlines\n", "", "---\n---"] {
            let before = draft(body);
            let text = before.text().unwrap();
            assert_eq!(before.read(&text), Ok(before.clone()), "{body:?}");
        }
        // The line end of an editor is not the message's.
        let before = draft("{}");
        let text = format!("{}\n", before.text().unwrap());
        assert_eq!(before.read(&text), Ok(before));
    }

    #[test]
    fn properties_and_body_are_edited_apart() {
        let before = draft("{\"id\":1}");
        let text = before.text().unwrap();
        assert!(
            text.starts_with("{\n") && text.ends_with("}\n---\n{\"id\":1}"),
            "{text}"
        );
        let text = text.replace("\"weight\": 7", "\"colour\": \"red\"");
        let text = text
            .replace("\"priority\": 3", "\"priority\": 4")
            .replace("web", "shop");
        let edited = before.read(&text.replace("\"id\":1", "\"id\":2")).unwrap();
        assert_eq!(edited.message.body, "{\"id\":2}");
        assert_eq!(edited.routing_key, "order.shop");
        let headers = &edited.message.properties.headers;
        assert_eq!(
            headers,
            &[("colour".to_owned(), FieldValue::Text("red".to_owned()))]
        );
        assert_eq!(edited.message.properties.priority, Some(4));
    }

    #[test]
    fn what_cannot_be_read_is_answered() {
        let before = draft("{}");
        let fault = |text: &str| before.read(text).expect_err("it is no letter");
        assert!(fault("{}").contains("no line ---"));
        assert!(fault("{,}\n---\n").contains("is not JSON: "));
        assert!(fault("[]\n---\n").contains("not a JSON object"));
        assert!(fault("{\"body\":\"\"}\n---\n").contains("below the line"));
        assert!(fault("{\"message-id\":\"x\"}\n---\n").contains("made of the old one"));
        assert!(fault("{\"prioritee\":1}\n---\n").contains("priority"));
        assert!(fault("{\"routing-key\":1}\n---\n").contains("must be a string"));
        assert!(fault("{\"headers\":{\"x-hive-attempt\":1}}\n---\n").contains("the host's own"));
        let bytes = Draft {
            message: Message {
                body: vec![0xff].into(),
                ..before.message.clone()
            },
            ..before
        };
        assert_eq!(bytes.text(), None);
    }

    #[test]
    fn json_stays_json_and_anything_else_may_become_anything() {
        let fault = draft("{\"id\":}")
            .replaces(&draft("{\"id\":1}"))
            .unwrap_err();
        assert!(fault.contains("line 1 column 7"), "{fault}");
        assert_eq!(draft("[]").replaces(&draft("{}")), Ok(()));
        assert_eq!(draft("{").replaces(&draft("plain")), Ok(()));
        assert_eq!(draft("{}").replaces(&draft("{")), Ok(()));
    }
}
