//! The parts that `table!` puts together: what one row becomes.

/// The constant of a key.
macro_rules! declared {
    ($field:ident $name:expr, $type:ty, [$default:tt] [$($flag:ident)*]) => {
        pub(crate) const $field: $crate::keys::Name<$type, fn() -> $type> =
            $crate::keys::Name::new($name, || {
                <$type as $crate::keys::Literal<_>>::literal($default)
            });
    };
    ($field:ident $name:expr, $type:ty, [] [$(hidden)? required $($flag:ident)*]) => {
        pub(crate) const $field: $crate::keys::Name<$type, $crate::keys::Required> =
            $crate::keys::Name::new($name, $crate::keys::Required);
    };
    ($field:ident $name:expr, $type:ty, [] [$($flag:ident)*]) => {
        pub(crate) const $field: $crate::keys::Name<$type> = $crate::keys::Name::new($name, ());
    };
}

/// The comparison of one key.
macro_rules! differ {
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [$($flag:ident)*] [$($value:tt)*]
     [$Inner:ident |$outer:ident| $inner:expr] [$($own:ty)?]) => {
        $differing.within($Keys::$field.name(), |differing| {
            $Inner::differences(
                {
                    let $outer = $old;
                    $inner
                },
                {
                    let $outer = $new;
                    $inner
                },
                differing,
            )
        });
    };
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [hidden $($flag:ident)*]
     [|$plan:ident| $value:expr] [] [$($own:ty)?]) => {
        $differing.hidden(
            $Keys::$field.of($Keys::KEYS),
            &{
                let $plan = $old;
                $value
            },
            &{
                let $plan = $new;
                $value
            },
        );
    };
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [$($flag:ident)*]
     [|$plan:ident| $value:expr] [] [$($own:ty)?]) => {
        $differing.shown(
            $Keys::$field.of($Keys::KEYS),
            &{
                let $plan = $old;
                $value
            },
            &{
                let $plan = $new;
                $value
            },
        );
    };
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [hidden $($flag:ident)*] [] [] [$own:ty]) => {
        $differing.hidden($Keys::$field.of($Keys::KEYS), &$old.$field, &$new.$field);
    };
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [$($flag:ident)*] [] [] [$own:ty]) => {
        $differing.shown($Keys::$field.of($Keys::KEYS), &$old.$field, &$new.$field);
    };
    // What it means is part of another key's value.
    (($Keys:ident, $old:ident, $new:ident, $differing:ident) $field:ident [$($flag:ident)*] [] [] []) => {};
}

macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

macro_rules! shape {
    ([$shape:ident $(($($arg:tt)*))?] $type:ty) => {
        $crate::keys::Shape::$shape $(($($arg)*))?
    };
    ([] $type:ty) => {
        <$type as $crate::keys::Shaped>::SHAPE
    };
}

macro_rules! unset {
    ([$default:tt] []) => {
        $crate::keys::Unset::Is(stringify!($default))
    };
    ([] [$prose:literal]) => {
        $crate::keys::Unset::Means($prose)
    };
    ([] []) => {
        $crate::keys::Unset::Nothing
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// Whether a row has a flag.
macro_rules! has {
    (hidden [hidden $($rest:ident)*]) => { true };
    (required [required $($rest:ident)*]) => { true };
    (restart [restart $($rest:ident)*]) => { true };
    (idle [idle $($rest:ident)*]) => { true };
    ($flag:ident [$other:ident $($rest:ident)*]) => { has!($flag [$($rest)*]) };
    ($flag:ident []) => { false };
}
