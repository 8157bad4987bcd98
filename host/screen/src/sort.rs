//! The order of the rows.

use std::cmp::Ordering;

use crate::consumers::Row;

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Column {
    #[default]
    Name,
    State,
    InFlight,
    Waiting,
    Acked,
    Retried,
    Dead,
}

impl Column {
    /// From left to right.
    pub(crate) const ALL: [Self; 7] = [
        Self::Name,
        Self::State,
        Self::InFlight,
        Self::Waiting,
        Self::Acked,
        Self::Retried,
        Self::Dead,
    ];

    /// Its head.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Name => "CONSUMER",
            Self::State => "STATE",
            Self::InFlight => "IN FLIGHT",
            Self::Waiting => "WAITING",
            Self::Acked => "ACKED/s",
            Self::Retried => "RETRIED/s",
            Self::Dead => "DEAD",
        }
    }
}

/// A column, and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sort {
    pub(crate) column: Column,
    /// The other way round than it begins: names from the first, what needs a look first, the largest number first.
    pub(crate) reversed: bool,
}

impl Sort {
    /// Goes to the next column, or the one before.
    pub(crate) fn moved(self, by: isize) -> Self {
        let all = Column::ALL;
        let at = all.iter().position(|one| *one == self.column).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(all.len() as isize);
        Self {
            column: all[next as usize],
            reversed: false,
        }
    }

    /// Sorts. Rows that are alike stay in the order of their names.
    pub(crate) fn sort(self, rows: &mut [Row]) {
        rows.sort_by(|one, other| {
            let order = self.compare(one, other);
            let order = match self.reversed {
                true => order.reverse(),
                false => order,
            };
            order.then_with(|| one.name.cmp(&other.name))
        });
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        // What is not known comes after what is.
        let rate = |one: Option<f64>| one.unwrap_or(-1.0);
        match self.column {
            Column::Name => one.name.cmp(&other.name),
            Column::State => urgency(&one.state).cmp(&urgency(&other.state)),
            Column::InFlight => other.in_flight.cmp(&one.in_flight),
            Column::Waiting => other.waiting.cmp(&one.waiting),
            Column::Acked => rate(other.acked.rate).total_cmp(&rate(one.acked.rate)),
            Column::Retried => rate(other.retried.rate).total_cmp(&rate(one.retried.rate)),
            Column::Dead => other.dead.total.cmp(&one.dead.total),
        }
    }
}

/// What needs a look comes first.
fn urgency(state: &str) -> u8 {
    match state {
        "waiting" => 0,
        "paused" => 1,
        "standby" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumers::Count;

    fn rows() -> Vec<Row> {
        let row = |name: &str, state: &str, waiting: Option<u64>, rate: Option<f64>| Row {
            name: name.to_owned(),
            state: state.to_owned(),
            waiting,
            acked: Count { total: None, rate },
            ..Row::default()
        };
        vec![
            row("c", "consuming", Some(7), Some(0.5)),
            row("a", "paused", None, None),
            row("b", "waiting", Some(50), Some(12.0)),
            row("d", "consuming", Some(7), Some(0.5)),
        ]
    }

    fn names(sort: Sort) -> String {
        let mut rows = rows();
        sort.sort(&mut rows);
        rows.into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn rows_are_sorted_by_a_column_and_then_by_their_names() {
        let by = |column| {
            names(Sort {
                column,
                reversed: false,
            })
        };
        assert_eq!(by(Column::Name), "abcd");
        assert_eq!(by(Column::State), "bacd");
        assert_eq!(by(Column::Waiting), "bcda");
        assert_eq!(by(Column::Acked), "bcda");
        let reversed = names(Sort {
            column: Column::Waiting,
            reversed: true,
        });
        assert_eq!(reversed, "acdb");
    }

    #[test]
    fn the_columns_are_gone_through_in_both_directions() {
        let first = Sort::default();
        assert_eq!(first.moved(1).column, Column::State);
        assert_eq!(first.moved(-1).column, Column::Dead);
        assert_eq!(first.moved(-1).moved(1).column, Column::Name);
    }
}
