//! What was meant by a key that its table does not have: a key of another table, or a name with dots. Pure.

use toml::de::{DeTable, DeValue};

use crate::keys::{Key, ROOT, Shape};

/// What to do about `name`, with this value, which the table at `place` does not have. `None` if neither is likely.
pub(super) fn remedy(place: &str, name: &str, value: &DeValue<'_>) -> Option<String> {
    dotted(place, name, value).or_else(|| elsewhere(name))
}

/// `[queues.orders.created]` is the table `created` of the queue `orders`.
fn dotted(place: &str, name: &str, value: &DeValue<'_>) -> Option<String> {
    let (section, parent) = place.split_once('.')?;
    let is_named = |key: &Key| key.name == section && matches!(key.shape, Shape::Named(_));
    let is_one_name = parent.starts_with('"') || !parent.contains('.');
    let DeValue::Table(table) = value else {
        return None;
    };
    (is_one_name && ROOT.iter().any(is_named)).then(|| {
        let name = format!("{}.{name}{}", parent.trim_matches('"'), rest_of(table));
        format!("a name with dots is quoted: [{section}.{name:?}]")
    })
}

/// The further parts of a name, for as long as nothing else is in the tables.
fn rest_of(table: &DeTable<'_>) -> String {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => match value.get_ref() {
            DeValue::Table(inner) => format!(".{}{}", name.get_ref(), rest_of(inner)),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// The tables that do have this key.
fn elsewhere(name: &str) -> Option<String> {
    let places = ROOT.iter().filter_map(|section| {
        let (inside, place) = match section.shape {
            Shape::Table(inside) => (inside, format!("[{}]", section.name)),
            Shape::Named(inside) => (inside, format!("[{}.NAME]", section.name)),
            _ => return None,
        };
        let has_it = inside.iter().any(|key| key.name == name);
        has_it.then_some(place)
    });
    let places: Vec<String> = places.collect();
    (!places.is_empty()).then(|| format!("`{name}` is a key of {}", places.join(" and of ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &str, written: &str) -> Option<String> {
        let table = DeTable::parse(written).expect("it is TOML");
        let (name, value) = table.get_ref().iter().next().expect("it has a key");
        remedy(place, name.get_ref(), value.get_ref())
    }

    #[test]
    fn a_name_with_dots_is_proposed_with_its_quotes() {
        let told = |written| told("queues.orders", written);
        let expected = "a name with dots is quoted: [queues.\"orders.created\"]";
        assert_eq!(told("created = {}").as_deref(), Some(expected));
        assert_eq!(
            told("created = { type = 'quorum' }").as_deref(),
            Some(expected)
        );
        let expected = "a name with dots is quoted: [queues.\"orders.created.eu\"]";
        assert_eq!(told("created = { eu = {} }").as_deref(), Some(expected));
        assert_eq!(told("created = 1"), None, "that is no table");
        assert_eq!(
            super::remedy("consumers.a.retry", "b", &DeValue::Table(DeTable::new())),
            None
        );
    }

    #[test]
    fn a_key_of_another_table_is_told_with_its_place() {
        let expected = "`concurrency` is a key of [consumers.NAME]";
        let of_component = told("components.a", "concurrency = 4");
        assert_eq!(of_component.as_deref(), Some(expected));
        assert_eq!(told("consumers.a", "concurency = 4"), None);
        assert_eq!(told("host", "nothing = 4"), None);
    }
}
