//! `table!`: one table of hive.toml, each of its keys declared once.
//!
//! ```text
//! table! {
//!     /// `[host]`.
//!     #[derive(Debug, Clone, PartialEq)]
//!     pub struct HostPlan, meant HostMeant {
//!         /// How long a stop waits for deliveries in flight.
//!         shutdown_timeout: Duration as Duration(0, LONGEST) = "30s";
//!         /// Consumer tags and connection names start with it.
//!         name => Arc<str> as Name [restart], else "the machine's hostname";
//!     }
//!     beside {
//!         /// A field of the plan that is no key.
//!         least_prefetch: u16,
//!     }
//! }
//! ```
//!
//! The parts of a row, in this order:
//!
//! | part | meaning |
//! |---|---|
//! | `/// …` | What the key means: for the page, the schema, and the field of the plan. |
//! | `name` | The key, and the field. `name("type")` where the key is another word. |
//! | `: T` | A field that is read as it is written, with its default. Nothing else has to be done for such a key. |
//! | `=> T` | A field whose value `meaning/` computes: it is a field of the second struct, which `of_table` asks for. |
//! | `-> T` | No field: `meaning/` reads it into something else. |
//! | `as Shape` | Its [`Shape`](super::Shape), with the range; left out where the type has only one. |
//! | `= literal` | Its default, as in TOML. |
//! | `[hidden required restart idle]` | `hidden`: a reload says that it changed, and not how; comes first, and is a must for secrets. `required`: its table needs it; comes next. `restart`: a change waits for a restart of the host. `idle`: a change bears on nothing that runs. |
//! | `, else "…"` | What applies where the key is not set and there is no literal for that. |
//! | `, written "…"` | Its type in words, where the shape does not say enough. |
//! | `, from \|plan\| …` | The value that a reload compares, if it is not the field itself. |
//! | `, within Table of \|plan\| …` | A reload compares the keys of that table, each by itself. |
//!
//! From it come the struct of the plan with `KEYS` (the rows for the reader, the schema and the page), `of_table`,
//! `differences`, and a constant for each key, which is the only way to ask for its value: `HostPlan::name`.
//!
//! `table! { keys RetryKeys of ConsumerPlan { … } }` declares the keys of a table whose values are elsewhere in the
//! plan; all its rows have `->`. With `of ()`, a reload compares what the whole table means.
//!
//! `table! { pub struct BatchPlan { … } }` is a table of nothing but plain keys: it is a type that a plain key of
//! another table can have.

macro_rules! table {
    (
        $(#[$table_doc:meta])*
        keys $Keys:ident of $Of:ty {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(($key:literal))? -> $only:ty $(as $shape:ident $(($($arg:tt)*))?)?
                $(= $default:tt)? $([$($flag:ident)*])?
                $(, else $prose:literal)? $(, written $written:literal)?
                $(, from |$plan:ident| $value:expr)?
                $(, within $Inner:ident of |$outer:ident| $inner:expr)?;
            )*
        }
    ) => {
        $(#[$table_doc])*
        pub(crate) struct $Keys;

        keys! {
            $Keys of $Of {
                $(
                    {concat!($($doc),+)} $field [$($key)?] [$only] [$($shape $(($($arg)*))?)?] [$($default)?]
                    [$($($flag)*)?] [$($prose)?] [$($written)?] [$(|$plan| $value)?] [$($Inner |$outer| $inner)?] [];
                )*
            }
        }
    };
    (
        $(#[$table_doc:meta])*
        pub struct $Plan:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(($key:literal))? : $plain:ty $(as $shape:ident $(($($arg:tt)*))?)?
                $(= $default:tt)? $([$($flag:ident)*])?
                $(, else $prose:literal)? $(, written $written:literal)?;
            )*
        }
    ) => {
        plan! {
            $(#[$table_doc])*
            $Plan {
                $({concat!($($doc),+)} $field [$plain];)*
            }
        }

        impl $crate::keys::Shaped for $Plan {
            const SHAPE: $crate::keys::Shape = $crate::keys::Shape::Table(Self::KEYS);
        }

        impl $crate::keys::Readable for $Plan {
            fn read(node: &$crate::written::Node) -> Option<Self> {
                let table = node.is_table().then_some(node)?;
                Some(Self {
                    $($field: Self::$field.take(Some(table))?,)*
                })
            }
        }

        keys! {
            $Plan of () {
                $(
                    {concat!($($doc),+)} $field [$($key)?] [$plain] [$($shape $(($($arg)*))?)?] [$($default)?]
                    [$($($flag)*)?] [$($prose)?] [$($written)?] [] [] [];
                )*
            }
        }
    };
    (
        $(#[$table_doc:meta])*
        pub struct $Plan:ident, meant $Meant:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(($key:literal))? $(-> $only:ty)? $(=> $meant:ty)? $(: $plain:ty)?
                $(as $shape:ident $(($($arg:tt)*))?)?
                $(= $default:tt)? $([$($flag:ident)*])?
                $(, else $prose:literal)? $(, written $written:literal)?
                $(, from |$plan:ident| $value:expr)?
                $(, within $Inner:ident of |$outer:ident| $inner:expr)?;
            )*
        }
        $(beside {
            $($(#[$beside_doc:meta])* $beside:ident: $beside_type:ty,)*
        })?
    ) => {
        plan! {
            $(#[$table_doc])*
            $Plan {
                $({concat!($($doc),+)} $field [$($meant)? $($plain)?];)*
                $($($(#[$beside_doc])* $beside: $beside_type,)*)?
            }
        }

        /// The fields that are no plain reading of one key.
        pub(crate) struct $Meant {
            $($(pub(crate) $field: $meant,)?)*
            $($(pub(crate) $beside: $beside_type,)*)?
        }

        impl $Plan {
            /// Reads the keys of this table; `None` where one that is required is missing or faulty.
            pub(crate) fn of_table(
                node: Option<&$crate::written::Node>,
                meant: $Meant,
            ) -> Option<Self> {
                // A table may have no plain keys, or nothing beside them.
                let _ = (&node, &meant);
                Some(Self {
                    $($($field: { let value: $plain = Self::$field.take(node)?; value },)?)*
                    $($($field: { let value: $meant = meant.$field; value },)?)*
                    $($($beside: meant.$beside,)*)?
                })
            }
        }

        keys! {
            $Plan of $Plan {
                $(
                    {concat!($($doc),+)} $field [$($key)?] [$($only)? $($meant)? $($plain)?]
                    [$($shape $(($($arg)*))?)?] [$($default)?]
                    [$($($flag)*)?] [$($prose)?] [$($written)?] [$(|$plan| $value)?] [$($Inner |$outer| $inner)?]
                    [$($meant)? $($plain)?];
                )*
            }
        }
    };
}

/// The struct of a table: a field for each row that has one.
macro_rules! plan {
    (
        $(#[$table_doc:meta])*
        $Plan:ident {
            $({$doc:expr} $field:ident [$($type:ty)?];)*
            $($(#[$beside_doc:meta])* $beside:ident: $beside_type:ty,)*
        }
    ) => {
        $(#[$table_doc])*
        pub struct $Plan {
            $($(#[doc = $doc] pub $field: $type,)?)*
            $($(#[$beside_doc])* pub $beside: $beside_type,)*
        }
    };
}

/// The rows of a table, a constant for each, and how a reload compares them.
macro_rules! keys {
    (
        $Keys:ident of $Of:ty {
            $(
                {$doc:expr} $field:ident [$($key:literal)?] [$type:ty] [$($shape:tt)*] [$($default:tt)?]
                [$($flag:ident)*] [$($prose:literal)?] [$($written:literal)?] [$($value:tt)*] [$($inner:tt)*]
                [$($own:ty)?];
            )*
        }
    ) => {
        #[allow(non_upper_case_globals, dead_code, reason = "named as in hive.toml; a plain key is asked for by `of_table` alone")]
        impl $Keys {
            $(declared! { $field name!($field $($key)?), $type, [$($default)?] [$($flag)*] })*

            /// The rows of this table.
            pub(crate) const KEYS: &'static [$crate::keys::Key] = &[
                $($crate::keys::Key {
                    name: name!($field $($key)?),
                    shape: shape!([$($shape)*] $type),
                    required: has!(required [$($flag)*]),
                    meaning: ($doc).trim_ascii(),
                    unset: unset!([$($default)?] [$($prose)?]),
                    written: optional!($($written)?),
                    hidden: has!(hidden [$($flag)*]),
                    at_restart: has!(restart [$($flag)*]),
                    idle: has!(idle [$($flag)*]),
                },)*
            ];

            /// Notes the keys that differ.
            pub(crate) fn differences(
                old: &$Of,
                new: &$Of,
                differing: &mut $crate::diff::differing::Differing,
            ) {
                // Some tables are compared as parts of others.
                let _ = (old, new, &differing);
                $(differ! {
                    (Self, old, new, differing) $field [$($flag)*] [$($value)*] [$($inner)*] [$($own)?]
                })*
            }
        }
    };
}
