//! A form as JSON: an object of texts, with an array for a name that comes more than once. Pure.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::answer::Refusal;

/// More are an attack rather than a form.
const MOST_FIELDS: usize = 1000;

/// The JSON of an `application/x-www-form-urlencoded` body (URL Standard, 5.1), in UTF-8.
pub(crate) fn to_json(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut fields = Map::new();
    let written = body.split(|byte| *byte == b'&');
    for (number, field) in written.filter(|field| !field.is_empty()).enumerate() {
        if number == MOST_FIELDS {
            let error = format!("the form has more than {MOST_FIELDS} fields");
            return Err(Refusal::too_large(error));
        }
        let (name, value) = match field.iter().position(|byte| *byte == b'=') {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, &[][..]),
        };
        let (name, value) = (text(name)?, Value::String(text(value)?));
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(Value::Object(fields).to_string().into_bytes())
}

fn text(written: &[u8]) -> Result<String, Refusal> {
    let spaced: Vec<u8> = written
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let decoded = percent_decode(&spaced).decode_utf8();
    match decoded {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::bad_body("a field of the form is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(form: &str) -> String {
        String::from_utf8(to_json(form.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn fields_are_texts_and_repeated_ones_arrays() {
        assert_eq!(
            json("a=1&b=x+y&a=2&a=%C3%A9"),
            r#"{"a":["1","2","é"],"b":"x y"}"#
        );
        assert_eq!(json("a&b=&&c=1=2"), r#"{"a":"","b":"","c":"1=2"}"#);
        assert_eq!(json(""), "{}");
        assert_eq!(json("q=%22%00%zz"), "{\"q\":\"\\\"\\u0000%zz\"}");
    }

    #[test]
    fn what_is_no_text_and_what_is_endless_is_refused() {
        assert_eq!(to_json(b"a=%ff").unwrap_err().status, 400);
        assert_eq!(to_json(b"a=\xff").unwrap_err().status, 400);
        let endless = "a=1&".repeat(100_000);
        assert_eq!(to_json(endless.as_bytes()).unwrap_err().status, 413);
        assert!(to_json("a=1&".repeat(MOST_FIELDS).as_bytes()).is_ok());
    }
}
