//! The picture of a screen.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};
use serde_json::Value;

use crate::consumers::{Count, Row, list, reason, text};
use crate::detail;
use crate::screen::Screen;
use crate::sort::Column;

/// Connections with trouble that are named.
const MOST_LINKS: usize = 3;

/// From this width on the reasons have a column.
const WIDE: u16 = 120;

const KEYS: &str = "↑↓ choose  PgUp PgDn page  Enter details  s S sort  r reverse  q quit";
const KEYS_OF_DETAIL: &str = "↑↓ PgUp PgDn scroll  Esc back  q quit";

impl Screen {
    /// Draws it.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let Some(now) = &self.now else {
            return;
        };
        let links = links(&now.status);
        let rows = [
            Constraint::Length(1),
            Constraint::Length(links.len().try_into().unwrap_or(0)),
            Constraint::Min(1),
            Constraint::Length(1),
            Constraint::Length(1),
        ];
        let [head, trouble, middle, note, keys] = Layout::vertical(rows).areas(frame.area());
        frame.render_widget(
            Paragraph::new(host(&now.status)).style(self.colours.head()),
            head,
        );
        let links: Vec<_> = links.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(links).style(self.colours.bad()), trouble);
        let shown = match self.opened.is_some() {
            true => {
                self.draw_detail(frame, middle);
                KEYS_OF_DETAIL
            }
            false => {
                self.draw_rows(frame, middle, note);
                KEYS
            }
        };
        frame.render_widget(Paragraph::new(shown).style(self.colours.quiet()), keys);
    }

    fn draw_detail(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let (Some(now), Some(name)) = (&self.now, &self.opened) else {
            return;
        };
        let lines = detail::lines(name, self.opened_row(), now, self.colours);
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        self.scrolled = self.scrolled.min(height.saturating_sub(area.height));
        self.page = area.height.max(1).into();
        frame.render_widget(Paragraph::new(lines).scroll((self.scrolled, 0)), area);
    }

    fn draw_rows(&mut self, frame: &mut Frame<'_>, area: Rect, note: Rect) {
        self.page = usize::from(area.height.saturating_sub(1)).max(1);
        let place = self.place();
        let begin = place / self.page * self.page;
        let is_wide = area.width >= WIDE;
        let shown = self.rows.iter().skip(begin).take(self.page);
        let shown = shown.map(|row| self.row(row, is_wide));
        let table = Table::new(shown, widths(is_wide))
            .header(self.heads(is_wide))
            .row_highlight_style(self.colours.chosen());
        let mut state = TableState::new().with_selected(place - begin);
        frame.render_stateful_widget(table, area, &mut state);
        let pages = self.rows.len().div_ceil(self.page);
        let page = match pages {
            0 => "no consumer".to_owned(),
            1 => String::new(),
            _ => format!("page {} of {pages}  ", begin / self.page + 1),
        };
        let reason = self.rows.get(place).map(|row| row.reason.as_str());
        let reason = reason.filter(|_| !is_wide).unwrap_or_default();
        let line = Line::from_iter([Span::from(page), Span::styled(reason, self.colours.bad())]);
        frame.render_widget(Paragraph::new(line), note);
    }

    fn heads(&self, is_wide: bool) -> TableRow<'static> {
        let head = |column: Column| {
            let arrow = match (column == self.sort.column, self.sort.reversed) {
                (false, _) => "",
                (true, false) => "▾",
                (true, true) => "▴",
            };
            format!("{}{arrow}", column.head())
        };
        let right = |column| number(head(column));
        let mut cells = vec![
            Cell::from(head(Column::Name)),
            Cell::from(head(Column::State)),
            number("WORKERS".to_owned()),
            right(Column::InFlight),
            right(Column::Waiting),
            right(Column::Acked),
            right(Column::Retried),
            right(Column::Dead),
        ];
        if is_wide {
            cells.push(Cell::from("REASON"));
        }
        TableRow::new(cells).style(self.colours.head())
    }

    fn row<'a>(&self, row: &'a Row, is_wide: bool) -> TableRow<'a> {
        let dead = number(counted(row.dead.total));
        let dead = match row.dead.total {
            Some(1..) => dead.style(self.colours.bad()),
            _ => dead,
        };
        let mut cells = vec![
            Cell::from(row.name.as_str()),
            Cell::from(row.state.as_str()).style(self.colours.state(&row.state)),
            number(workers(row)),
            number(counted(row.in_flight)),
            number(counted(row.waiting)),
            number(rate(row.acked)),
            number(rate(row.retried)),
            dead,
        ];
        if is_wide {
            cells.push(Cell::from(row.reason.as_str()));
        }
        TableRow::new(cells)
    }
}

fn widths(is_wide: bool) -> Vec<Constraint> {
    let numbers = [7, 10, 8, 9, 10, 7].map(Constraint::Length);
    let mut widths = vec![Constraint::Fill(2), Constraint::Length(10)];
    widths.extend(numbers);
    if is_wide {
        widths.push(Constraint::Fill(3));
    }
    widths
}

fn number(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right))
}

pub(crate) fn counted(count: Option<u64>) -> String {
    count.map_or("-".to_owned(), |count| count.to_string())
}

pub(crate) fn rate(count: Count) -> String {
    count
        .rate
        .map_or("-".to_owned(), |rate| format!("{rate:.1}"))
}

/// How many there are, and how many are wanted if that differs.
pub(crate) fn workers(row: &Row) -> String {
    match (row.workers, row.workers_wanted) {
        (Some(there), Some(wanted)) if there != wanted => format!("{there}/{wanted}"),
        (there, _) => counted(there),
    }
}

/// Which host it is, and how its consumers are.
fn host(status: &Value) -> String {
    let host = &status["host"];
    let up = Duration::from_secs(host["uptime_seconds"].as_u64().unwrap_or_default());
    let up = humantime::format_duration(up);
    let (name, version) = (text(&host["name"]), text(&host["version"]));
    let count = |state: &str| {
        let consumers = list(&status["consumers"]);
        consumers.filter(|one| one["state"] == state).count()
    };
    let states = ["consuming", "standby", "paused", "waiting"].map(|state| (count(state), state));
    let states = states.iter().filter(|(count, _)| *count > 0);
    let states: Vec<_> = states
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    let states = match states.is_empty() {
        true => "no consumer".to_owned(),
        false => states.join(", "),
    };
    format!("{name}  {version}  up {up}  {states}")
}

/// Connections that are not open.
fn links(status: &Value) -> Vec<String> {
    let closed = list(&status["connections"]).filter(|link| link["state"] != "open");
    let mut lines: Vec<_> = closed
        .map(|link| {
            let [name, role, state] = ["connection", "role", "state"].map(|key| text(&link[key]));
            let reason = reason(link);
            let reason = match reason.is_empty() {
                true => String::new(),
                false => format!(": {reason}"),
            };
            format!("connection {name} ({role}) is {state}{reason}")
        })
        .collect();
    let more = lines.len().saturating_sub(MOST_LINKS);
    if more > 0 {
        lines.truncate(MOST_LINKS - 1);
        lines.push(format!("and {} more connections are not open", more + 1));
    }
    lines
}

#[cfg(test)]
mod tests;
