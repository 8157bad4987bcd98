//! A table for people: columns as wide as what is in them, numbers to the right.

use std::fmt;

use hive_core::escape;

/// Rows under a heading each. The last column is not filled up.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// One column.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Words, under this heading.
    Words(&'static str),
    /// Numbers, under this heading.
    Numbers(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Words(heading) | Self::Numbers(heading) => heading,
        }
    }
}

impl Table {
    pub(super) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// A cell for each column. What comes from outside need not be escaped.
    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into().into_iter();
        let cells = cells.map(|cell| escape::line(&cell).into_owned());
        self.rows.push(cells.collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self
            .columns
            .iter()
            .map(|column| column.heading().to_owned());
        let rows: Vec<Vec<String>> = std::iter::once(headings.collect())
            .chain(self.rows.iter().cloned())
            .collect();
        let width = |index: usize| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for row in &rows {
            let mut line = String::new();
            for (index, (column, cell)) in self.columns.iter().zip(row).enumerate() {
                let width = width(index);
                match column {
                    Column::Words(_) => line.push_str(&format!("{cell:<width$}  ")),
                    Column::Numbers(_) => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([
            Column::Words("NAME"),
            Column::Numbers("N"),
            Column::Words("WHY"),
        ]);
        table.row(["größe".to_owned(), "7".to_owned(), String::new()]);
        table.row(["a".to_owned(), "1234".to_owned(), "because".to_owned()]);
        let expected = "NAME      N  WHY\ngröße     7\na      1234  because\n";
        assert_eq!(table.to_string(), expected);
    }
}
