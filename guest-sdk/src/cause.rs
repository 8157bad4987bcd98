//! An error as one line of text with its causes: `a: b` for an `a` caused by a `b`.
//!
//! A handler's error is any type that implements `Display`, and only some of these know their cause.
//! The macro `__cause!` calls `text` on three references to a [`Failure`]. Rust chooses the trait that
//! needs the fewest dereferences, which is the one that knows most about the error.

use std::error::Error;
use std::fmt::Display;

/// The error of a handler.
#[derive(Debug)]
pub struct Failure<E>(pub E);

/// Describes an `Error`, which knows its causes.
pub trait OfError {
    /// The text.
    fn text(&self) -> String;
}

impl<E: Error> OfError for &&&Failure<E> {
    fn text(&self) -> String {
        chain(&self.0)
    }
}

/// For a `Box<dyn Error + Send + Sync>` or an `anyhow::Error`: neither implements `Error`, but each
/// holds one.
pub trait OfSendReport {
    /// The text.
    fn text(&self) -> String;
}

impl<E: AsRef<dyn Error + Send + Sync>> OfSendReport for &&Failure<E> {
    fn text(&self) -> String {
        chain(self.0.as_ref())
    }
}

/// Describes a `Box<dyn Error>`.
pub trait OfReport {
    /// The text.
    fn text(&self) -> String;
}

impl<E: AsRef<dyn Error>> OfReport for &Failure<E> {
    fn text(&self) -> String {
        chain(self.0.as_ref())
    }
}

/// Describes all other types that implement `Display`.
pub trait OfDisplay {
    /// The text.
    fn text(&self) -> String;
}

impl<E: Display> OfDisplay for Failure<E> {
    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Some errors contain the text of their cause; it is not repeated.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        source = cause.source();
    }
    text
}

/// The text of an error. The type of the error must be known at the place of the call.
#[doc(hidden)]
#[macro_export]
macro_rules! __cause {
    ($error:expr) => {{
        #[allow(
            unused_imports,
            reason = "the type of the error says which one is used"
        )]
        use $crate::cause::{OfDisplay, OfError, OfReport, OfSendReport};
        (&&&$crate::cause::Failure($error)).text()
    }};
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    #[derive(Debug)]
    struct Wrong(std::num::ParseIntError);

    impl fmt::Display for Wrong {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the count is wrong")
        }
    }

    impl Error for Wrong {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn wrong() -> Wrong {
        Wrong("x".parse::<u8>().unwrap_err())
    }

    #[test]
    fn an_error_of_any_type_is_told_with_its_causes() {
        let report: Box<dyn Error> = wrong().into();
        let send_report: Box<dyn Error + Send + Sync> = wrong().into();
        let told = "the count is wrong: invalid digit found in string";
        assert_eq!(__cause!(wrong()), told);
        assert_eq!(__cause!(report), told);
        assert_eq!(__cause!(send_report), told);
    }

    #[test]
    fn what_is_no_error_is_told_as_it_is_displayed() {
        assert_eq!(__cause!("text"), "text");
        assert_eq!(__cause!(String::from("string")), "string");
        assert_eq!(__cause!(7), "7");
    }

    #[test]
    fn a_cause_is_not_told_twice() {
        let error = crate::testing::DeliveryBuilder::new()
            .text("{")
            .build()
            .json::<u8>()
            .unwrap_err();
        let told = __cause!(error);
        assert_eq!(told.matches("line 1").count(), 1, "{told}");
    }
}
