//! The types that the value of a key may have: how one is read, and how a default is written.

use std::sync::Arc;
use std::time::Duration;

use super::Shape;
use crate::plan::{Arguments, Password};
use crate::units;
use crate::written::{Node, Value};

/// A type whose keys have one shape.
pub(crate) trait Shaped {
    const SHAPE: Shape;
}

/// A type that a value of the file can be read as.
pub(crate) trait Readable: Sized {
    /// `None` for a faulty value; its fault was reported.
    fn read(node: &Node) -> Option<Self>;
}

/// A type whose default is written as an `L` in the declaration.
pub(crate) trait Literal<L> {
    fn literal(written: L) -> Self;
}

impl Shaped for bool {
    const SHAPE: Shape = Shape::Boolean;
}

impl Shaped for Arguments {
    const SHAPE: Shape = Shape::Arguments;
}

impl Shaped for Vec<(String, String)> {
    const SHAPE: Shape = Shape::Texts;
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl Readable for bool {
    fn read(node: &Node) -> Option<Self> {
        match node.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

impl Literal<bool> for bool {
    fn literal(written: bool) -> Self {
        written
    }
}

/// The range in the table of keys fits into the type.
macro_rules! integers {
    ($($type:ty),+) => {
        $(
            impl Readable for $type {
                fn read(node: &Node) -> Option<Self> {
                    match node.value {
                        Value::Integer(value) => value.try_into().ok(),
                        Value::Size(bytes) => bytes.try_into().ok(),
                        _ => None,
                    }
                }
            }

            impl Literal<$type> for $type {
                fn literal(written: $type) -> Self {
                    written
                }
            }
        )+
    };
}

integers!(i32, u16, u32, u64);

/// A size in bytes.
impl Literal<&'static str> for u64 {
    fn literal(written: &'static str) -> Self {
        units::size(written).expect("a default is a size")
    }
}

impl Readable for f64 {
    fn read(node: &Node) -> Option<Self> {
        match node.value {
            Value::Ratio(value) => Some(value),
            _ => None,
        }
    }
}

impl Readable for Duration {
    fn read(node: &Node) -> Option<Self> {
        node.as_duration()
    }
}

impl Literal<&'static str> for Duration {
    fn literal(written: &'static str) -> Self {
        units::duration(written).expect("a default is a duration")
    }
}

impl Readable for Password {
    fn read(node: &Node) -> Option<Self> {
        node.as_text().map(|text| Self::from(text.to_owned()))
    }
}

macro_rules! texts {
    ($($type:ty),+) => {
        $(
            impl Readable for $type {
                fn read(node: &Node) -> Option<Self> {
                    node.as_text().map(Self::from)
                }
            }

            impl Literal<&'static str> for $type {
                fn literal(written: &'static str) -> Self {
                    written.into()
                }
            }
        )+
    };
}

texts!(String, Arc<str>);

impl<T: Literal<L>, L> Literal<L> for Option<T> {
    fn literal(written: L) -> Self {
        Some(T::literal(written))
    }
}

impl<T: Readable> Readable for Option<T> {
    fn read(node: &Node) -> Option<Self> {
        T::read(node).map(Some)
    }
}

/// Without the elements that are faulty.
impl<T: Readable> Readable for Vec<T> {
    fn read(node: &Node) -> Option<Self> {
        match &node.value {
            Value::List(elements) => Some(elements.iter().filter_map(T::read).collect()),
            _ => None,
        }
    }
}

impl<T: Readable> Readable for Arc<[T]> {
    fn read(node: &Node) -> Option<Self> {
        Vec::read(node).map(Self::from)
    }
}

impl<T: Literal<L>, L, const N: usize> Literal<[L; N]> for Vec<T> {
    fn literal(written: [L; N]) -> Self {
        written.into_iter().map(T::literal).collect()
    }
}

impl Readable for Vec<(String, String)> {
    fn read(node: &Node) -> Option<Self> {
        match &node.value {
            Value::Texts(texts) => Some(texts.clone()),
            _ => None,
        }
    }
}

impl Readable for Arguments {
    fn read(node: &Node) -> Option<Self> {
        match &node.value {
            Value::Arguments(arguments) => Some(arguments.clone()),
            _ => None,
        }
    }
}

/// A value that is one of a few words.
macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $crate::keys::Word for $type {
            fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl $crate::keys::Shaped for $type {
            const SHAPE: $crate::keys::Shape = $crate::keys::Shape::Choice(&[$($word),+]);
        }

        impl $crate::keys::Readable for $type {
            fn read(node: &$crate::written::Node) -> Option<Self> {
                <Self as $crate::keys::Word>::of(node.as_text()?)
            }
        }

        impl $crate::keys::Literal<&'static str> for $type {
            fn literal(written: &'static str) -> Self {
                let found = <Self as $crate::keys::Word>::of(written);
                found.unwrap_or_else(|| panic!("a default is none of the words: {written}"))
            }
        }

        impl $crate::diff::differing::Show for $type {
            fn show(&self, _: &$crate::keys::Shape) -> String {
                format!("{:?}", $crate::keys::Word::word(self))
            }
        }
    };
}
pub(crate) use words;

/// A value that is one of a few words.
pub(crate) trait Word: Sized {
    /// The word of the file.
    fn word(&self) -> &'static str;

    /// The value of this word; `None` for any other.
    fn of(word: &str) -> Option<Self>;
}
