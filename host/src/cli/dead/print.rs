//! Lists of dead letters, and what came of a replay, for people and for scripts.

use hive_amqp::Waiting;
use hive_core::dead::{Group, MOST_GROUPS};

use super::walked::Rows;
use crate::cli::parts::cell;
use crate::cli::say::{self, fault, out};
use crate::cli::table::{Column, Table};
use crate::dead::{Numbered, Replayed, Walk, groups_json, line_json, replayed_json, shown};

/// Lists of dead letters.
pub(super) const DEAD: Rows = Rows {
    columns: |first| match first.letter.waiting {
        Some(_) => &WAITING,
        None => &DIED,
    },
    cells,
    json: line_json,
};

const DIED: [Column; 7] = [
    Column::Numbers("#"),
    Column::Words("DIED"),
    Column::Words("REASON"),
    Column::Numbers("TRIES"),
    Column::Words("QUEUE"),
    Column::Words("MESSAGE-ID"),
    Column::Words("ERROR"),
];

/// The columns for copies in a delay queue.
const WAITING: [Column; DIED.len()] = [
    Column::Numbers("#"),
    Column::Words("DUE"),
    Column::Words("REASON"),
    Column::Words("ATTEMPT"),
    Column::Words("QUEUE"),
    Column::Words("MESSAGE-ID"),
    Column::Words("ERROR"),
];

/// Letters of a cell; the last column is cut at the same length times three.
pub(in crate::cli) const WIDEST: usize = 40;

/// The lines that say which letters were left; the rest is counted.
const MOST_TOLD: usize = 10;

fn cells(one: &Numbered) -> Vec<String> {
    let death = &one.letter.death;
    let properties = &one.letter.delivery.envelope.message.properties;
    let text = |text: Option<&str>| text.map_or("-".to_owned(), |text| cell(text, WIDEST));
    let (time, tries) = match &one.letter.waiting {
        Some(waiting) => (waiting.due, Some(attempt(waiting))),
        None => (death.time, death.attempts.map(|tries| tries.to_string())),
    };
    vec![
        one.number.to_string(),
        time.map_or("-".to_owned(), shown),
        text(death.reason()),
        tries.unwrap_or("-".to_owned()),
        text(death.queue.as_deref()),
        text(properties.message_id.as_deref()),
        death
            .error
            .as_deref()
            .map_or(String::new(), |error| cell(error, 3 * WIDEST)),
    ]
}

/// The number of the attempt, as in `2 of 16`.
pub(super) fn attempt(waiting: &Waiting) -> String {
    match waiting.of {
        Some(of) => format!("{} of {of}", waiting.attempt.get()),
        None => waiting.attempt.get().to_string(),
    }
}

/// The count under a list, as in `3 listed of 5 in orders.dead`.
pub(super) fn count(walk: &Walk, queue: &str, what: &str) -> String {
    match (walk.matched(), walk.there()) {
        (_, 0) => format!("{queue} is empty"),
        (0, there) => format!("none of the {there} messages in {queue} matches"),
        (matched, there) => format!("{matched} {what} of {there} in {queue}"),
    }
}

/// The groups of a queue, the largest first.
const GROUPS: [Column; 7] = [
    Column::Words("KEY"),
    Column::Numbers("COUNT"),
    Column::Words("FIRST"),
    Column::Words("LAST"),
    Column::Words("REASON"),
    Column::Words("EXAMPLE"),
    Column::Words("ERROR"),
];

/// The groups of a queue, and how many messages are in none of them.
pub(super) fn groups(groups: &[Group], others: u64, walk: &Walk, queue: &str, json: bool) {
    if json {
        say::json(&groups_json(groups, others, walk, queue));
        return;
    }
    if !groups.is_empty() {
        let mut table = Table::new(GROUPS);
        for group in groups {
            table.row(group_cells(group));
        }
        say::lines(&table);
    }
    if others > 0 {
        out!(
            "{others} messages are in further groups: more than {MOST_GROUPS} are not told apart; choose fewer with \
             --where"
        );
    }
    let many = match groups.len() {
        1 => "1 group".to_owned(),
        many => format!("{many} groups"),
    };
    out!("{many}; {}", count(walk, queue, "looked at"));
}

fn group_cells(group: &Group) -> Vec<String> {
    let time = |time: Option<u64>| time.map_or("-".to_owned(), shown);
    let error = match &group.frame {
        Some(frame) => format!("{} [{frame}]", cell(&group.error, 2 * WIDEST)),
        None => group.error.clone(),
    };
    vec![
        group.key.to_string(),
        group.count.to_string(),
        time(group.first),
        time(group.last),
        group
            .reason
            .as_deref()
            .map_or("-".to_owned(), |reason| cell(reason, WIDEST)),
        match &group.example {
            Some(id) => cell(id, WIDEST),
            None => format!("number={}", group.number),
        },
        cell(&error, 3 * WIDEST),
    ]
}

/// The result of a replay, and what was `done`; errors go to standard error.
pub(super) fn replayed(replayed: &Replayed, walk: &Walk, queue: &str, done: &str, json: bool) {
    let Replayed {
        sent,
        left,
        back_again,
        doubtful,
        stopped,
        broken,
    } = replayed;
    for one in left.iter().take(MOST_TOLD) {
        fault!("message {} stays: {}", one.number, one.reason);
    }
    if left.len() > MOST_TOLD {
        fault!("{} more stay", left.len() - MOST_TOLD);
    }
    if let Some(reason) = broken {
        fault!("stopped: {reason}");
    }
    if *doubtful > 0 {
        fault!(
            "{doubtful} were sent and could not be taken off {queue} any more: they may be in both"
        );
    }
    if json {
        say::json(&replayed_json(replayed, walk, queue, done));
        return;
    }
    let to: Vec<String> = sent
        .iter()
        .map(|(queue, count)| format!("{count} to {queue}"))
        .collect();
    let to = match to.is_empty() {
        true => String::new(),
        false => format!(": {}", to.join(", ")),
    };
    out!(
        "{} of {} messages {done} from {queue}{to}",
        replayed.total(),
        walk.there()
    );
    if *back_again > 0 {
        out!("{back_again} failed again meanwhile, and are not sent twice");
    }
    if *stopped {
        out!("stopped by a signal; the rest is where it was");
    }
}
