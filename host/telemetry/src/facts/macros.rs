//! What makes the enum of facts, their log lines and their rows out of one declaration.

/// Declares facts. For each:
///
/// ```text
/// /// What has happened: the text of its row in docs/operations.md.
/// Variant("stable.name", LEVEL, "sentence of the log line" [, field = "always the same"]) {
///     field: [%|?|~|&|!] Type,
/// }
/// ```
///
/// `%` shows a field by `Display`, `?` by `Debug`. `~` and `&` are an `Option` that is left out where it is
/// `None`, and `&` is shown by `Debug`. Without a mark it is a number, a flag or a string. `!` is a part of
/// the sentence, so that the text format does not repeat it; its name is in [`super::IN_SENTENCE`].
macro_rules! facts {
    ($($target:literal {
        $(
            $(#[doc = $meaning:literal])+
            $variant:ident($event:literal, $level:ident, $sentence:literal $(, $constant:ident = $value:literal)?)
                $({ $($field:ident: [$($mode:tt)?] $type:ty),* $(,)? })?;
        )*
    })*) => {
        /// Something that has happened, with what is known of it. Its text is the sentence of its log line.
        #[allow(missing_docs, reason = "each field has the name under which it is logged")]
        #[derive(Clone, Copy)]
        pub enum Fact<'a> {
            $($(
                $(#[doc = $meaning])+
                $variant { $($($field: $type,)*)? },
            )*)*
        }

        impl Fact<'_> {
            /// Every fact, for the table in docs/operations.md.
            pub const ROWS: &'static [Row] = &[
                $($(
                    Row {
                        event: $event,
                        level: Level::$level,
                        fields: &[$($((stringify!($field), is_in_sentence!($($mode)?)),)*)?],
                        constant: constant!($($constant = $value)?),
                        meaning: concat!($($meaning),+),
                    },
                )*)*
            ];

            /// The stable name of the fact.
            pub fn event(&self) -> &'static str {
                match self {
                    $($(Self::$variant { .. } => $event,)*)*
                }
            }

            /// How much it concerns an operator.
            pub fn level(&self) -> Level {
                match self {
                    $($(Self::$variant { .. } => Level::$level,)*)*
                }
            }

            /// Shows each field that has a value, in order.
            pub fn fields(&self, show: &mut dyn FnMut(&'static str, &dyn Display)) {
                match self {
                    $($(
                        Self::$variant { $($($field,)*)? } => {
                            $($(shown!(show, $field, $($mode)?);)*)?
                        }
                    )*)*
                }
            }

            #[allow(unused_variables, reason = "a sentence names few fields or none")]
            pub(super) fn sentence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($(
                        Self::$variant { $($($field,)*)? } => write!(f, $sentence),
                    )*)*
                }
            }

            pub(super) fn log(&self) {
                match self {
                    $($(
                        Self::$variant { $($($field,)*)? } => tracing::event!(
                            target: $target,
                            Level::$level,
                            event = $event,
                            $($constant = $value,)?
                            $($($field = logged!($field, $($mode)?),)*)?
                            $sentence
                        ),
                    )*)*
                }
            }
        }
    };
}

macro_rules! constant {
    () => {
        None
    };
    ($constant:ident = $value:literal) => {
        Some((stringify!($constant), $value))
    };
}

macro_rules! is_in_sentence {
    (!) => {
        true
    };
    ($($mode:tt)?) => {
        false
    };
}

macro_rules! shown {
    ($show:ident, $field:ident, ?) => {
        $show(stringify!($field), &format_args!("{:?}", $field))
    };
    ($show:ident, $field:ident, ~) => {
        if let Some(value) = $field {
            $show(stringify!($field), value);
        }
    };
    ($show:ident, $field:ident, &) => {
        if let Some(value) = $field {
            $show(stringify!($field), &format_args!("{value:?}"));
        }
    };
    ($show:ident, $field:ident, !) => {
        let _ = $field;
    };
    ($show:ident, $field:ident, $(%)?) => {
        $show(stringify!($field), $field)
    };
}

macro_rules! logged {
    ($field:ident, %) => {
        tracing::field::display($field)
    };
    ($field:ident, ?) => {
        tracing::field::debug($field)
    };
    ($field:ident, &) => {
        $field.map(tracing::field::debug)
    };
    ($field:ident, !) => {
        tracing::field::display($field)
    };
    ($field:ident, $(~)?) => {
        $field
    };
}

pub(super) use {constant, facts, is_in_sentence, logged, shown};
