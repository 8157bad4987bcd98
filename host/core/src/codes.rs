//! The codes of errors (`HIVE-0103`), and what `hive-host explain` and docs/errors.md say about each.
//!
//! All are in `list.rs`. A number is never given to another error: one that is not reported any more leaves a
//! gap.

mod list;

use std::fmt;
use std::sync::Arc;

pub use self::list::Code;

/// What there is to know of one code.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    /// The part of the host that reports it.
    pub area: &'static str,
    /// The error in a few words.
    pub title: &'static str,
    /// What the error means.
    pub meaning: &'static str,
    /// What to do, step by step.
    pub steps: &'static [&'static str],
    /// The error as it is printed or logged.
    pub example: &'static str,
}

/// Makes the enum of codes and their explanations out of one declaration.
macro_rules! codes {
    ($($area:literal {
        $(
            $variant:ident $number:literal $title:literal {
                means: $meaning:literal,
                steps: [$($step:literal),+ $(,)?],
                example: $example:literal $(,)?
            }
        )*
    })*) => {
        /// The code of an error. Its text is the one that is printed: `HIVE-0103`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(
                #[doc = $title]
                $variant,
            )*)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// The code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$variant => concat!("HIVE-", $number),)*)*
                }
            }

            /// The name of the variant, by which the source is searched.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => stringify!($variant),)*)*
                }
            }

            /// What the error means, and what to do.
            pub const fn explanation(self) -> Explanation {
                match self {
                    $($(
                        Self::$variant => Explanation {
                            area: $area,
                            title: $title,
                            meaning: $meaning,
                            steps: &[$($step),+],
                            example: $example,
                        },
                    )*)*
                }
            }
        }
    };
}

use codes;

impl Code {
    /// The code that a user has written: in full or its number alone, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let digits = text.strip_prefix("HIVE").unwrap_or(&text);
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        let is_number = (1..=4).contains(&digits.len());
        let number = is_number.then(|| format!("HIVE-{digits:0>4}"))?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == number)
    }
}

/// An error in words, on its way to where it is printed, with its code if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// The code of the error, if it has one.
    pub code: Option<Code>,
    /// The error.
    pub text: String,
}

impl Coded {
    /// An error that has a code, or perhaps one.
    pub fn new(code: impl Into<Option<Code>>, text: impl fmt::Display) -> Self {
        Self {
            code: code.into(),
            text: text.to_string(),
        }
    }

    /// An error that nobody looks up.
    pub fn plain(text: impl fmt::Display) -> Self {
        Self::new(None, text)
    }
}

/// Why something does not work now, in words that many may share, with the code of the error that it stems from, if
/// that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code of the error.
    pub code: Option<Code>,
    /// The reason.
    pub text: Arc<str>,
}

impl Reason {
    /// A reason that stems from an error with a code, or perhaps with one.
    pub fn new(code: impl Into<Option<Code>>, text: impl fmt::Display) -> Self {
        Self {
            code: code.into(),
            text: text.to_string().into(),
        }
    }
}

impl<T: Into<Arc<str>>> From<T> for Reason {
    fn from(text: T) -> Self {
        Self {
            code: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
