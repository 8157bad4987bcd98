//! Fills `${NAME}` and `${NAME:-default}` in a string from the environment.

use hive_core::codes::Code;

use super::environment::Environment;

/// Why the variables of a string cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InterpolationFault {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

/// A string whose variables are replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// The variables whose values are in it, each once.
    pub(crate) variables: Vec<String>,
}

/// The string with every variable replaced. `$${` stands for a literal `${`. As in a shell, the default applies
/// to a variable that is unset or empty.
pub(crate) fn interpolate(
    text: &str,
    environment: &Environment,
) -> Result<Filled, Vec<InterpolationFault>> {
    let mut filled = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        let inner = &rest[at + "${".len()..];
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = inner;
            continue;
        }
        filled.push_str(before);
        let Some((reference, after)) = inner.split_once('}') else {
            faults.push(unclosed());
            rest = "";
            break;
        };
        match value(reference, environment) {
            Ok(Replacement { value, from }) => {
                filled.push_str(value);
                variables.extend(from.map(str::to_owned));
            }
            Err(fault) => faults.push(fault),
        }
        rest = after;
    }
    filled.push_str(rest);
    if faults.is_empty() {
        variables.sort();
        variables.dedup();
        Ok(Filled {
            text: filled,
            variables,
        })
    } else {
        Err(faults)
    }
}

/// What takes the place of a reference.
struct Replacement<'a> {
    value: &'a str,
    /// The variable that has this value; `None` for a default.
    from: Option<&'a str>,
}

/// The value of what stands between the braces.
fn value<'a>(
    reference: &'a str,
    environment: &'a Environment,
) -> Result<Replacement<'a>, InterpolationFault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) || default.is_some_and(|default| default.contains("${")) {
        return Err(malformed());
    }
    if environment.unreadable.contains(name) {
        return Err(InterpolationFault {
            code: Code::VariableNotUtf8,
            message: format!("needs the environment variable {name}, whose value is not UTF-8"),
            remedy: format!("set {name} to a text in UTF-8"),
        });
    }
    let set = match default {
        Some(_) => environment.filled(name),
        None => environment.get(name),
    };
    match (set, default) {
        (Some(value), _) => Ok(Replacement {
            value,
            from: Some(name),
        }),
        (None, Some(value)) => Ok(Replacement { value, from: None }),
        (None, None) => Err(InterpolationFault {
            code: Code::VariableNotSet,
            message: format!("needs the environment variable {name}, which is not set"),
            remedy: format!("set {name}, or give it a default: `${{{name}:-default}}`"),
        }),
    }
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn unclosed() -> InterpolationFault {
    InterpolationFault {
        code: Code::BadReference,
        message: "has a `${` without its `}`".to_owned(),
        remedy: "close it, or write `$${` for a literal `${`".to_owned(),
    }
}

/// The text between the braces is not repeated: it may be the default of a secret.
fn malformed() -> InterpolationFault {
    InterpolationFault {
        code: Code::BadReference,
        message: "has a `${…}` that names no environment variable".to_owned(),
        remedy: "write `${NAME}` or `${NAME:-default}`, or `$${` for a literal `${`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, Vec<InterpolationFault>> {
        filled(text).map(|filled| filled.text)
    }

    fn filled(text: &str) -> Result<Filled, Vec<InterpolationFault>> {
        let variables = [("HOST", "rabbit"), ("EMPTY", "")];
        let environment = Environment {
            variables: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            unreadable: ["LATIN".to_owned()].into(),
            ..Environment::default()
        };
        interpolate(text, &environment)
    }

    #[test]
    fn variables_defaults_and_literals_are_filled_in() {
        let cases = [
            ("plain $5 } text", "plain $5 } text"),
            ("a ${HOST} b ${HOST}", "a rabbit b rabbit"),
            ("${NONE:-amqp://h:1/%2f}", "amqp://h:1/%2f"),
            ("${HOST:-other}", "rabbit"),
            ("${EMPTY}", ""),
            ("${EMPTY:-default}", "default"),
            ("${NONE:-}", ""),
            ("$${HOST} ${HOST}", "${HOST} rabbit"),
            ("é${HOST}é", "érabbité"),
        ];
        for (text, filled) in cases {
            assert_eq!(fill(text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn the_variables_whose_values_are_used_are_known() {
        let variables = |text| filled(text).map(|filled| filled.variables);
        assert_eq!(variables("${HOST}:${HOST:-other}"), Ok(vec!["HOST".into()]));
        assert_eq!(variables("${NONE:-default} ${EMPTY:-default}"), Ok(vec![]));
    }

    #[test]
    fn every_missing_variable_is_named() {
        let faults = fill("${ONE} ${HOST} ${TWO}").unwrap_err();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].message.contains("ONE"));
        assert!(faults[1].message.contains("TWO"));
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_not_said_to_be_unset() {
        for text in ["${LATIN}", "${LATIN:-default}"] {
            let faults = fill(text).unwrap_err();
            let message = &faults[0].message;
            assert!(
                message.contains("LATIN") && message.contains("not UTF-8"),
                "{message}"
            );
        }
    }

    #[test]
    fn malformed_references_are_faults() {
        for text in ["${", "${HOST", "${}", "${A B}", "${1A}", "${A:-${B}}"] {
            assert_eq!(fill(text).map_err(|faults| faults.len()), Err(1), "{text}");
        }
    }
}
