//! Pictures of screens, on a terminal in memory.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::{Value, json};

use crate::look::Look;
use crate::screen::{Flow, Key, Screen};

fn consumer(name: &str, state: &str, acked: u64, dead: u64) -> Value {
    json!({
        "consumer": name, "queue": format!("{name}.created"), "component": "pricing",
        "connection": "main", "state": state, "workers": 2, "workers_wanted": 5, "in_flight": 2,
        "deliveries": { "acked": acked, "retried": 1, "dead_lettered": dead, "requeued": 7 },
        "queues": [
            { "queue": format!("{name}.created"), "purpose": "consumed", "messages": acked },
            { "queue": format!("{name}.dead"), "purpose": "dead_letter", "messages": null, "reason": "no answer" },
        ],
        "reason": if state == "waiting" { "the queue is missing" } else { "" },
    })
}

fn status(consumers: &[Value]) -> Value {
    json!({
        "host": { "name": "main", "version": "0.1.0", "uptime_seconds": 3723 },
        "connections": [{ "connection": "main", "role": "publish", "state": "closed", "reason": "refused" }],
        "consumers": consumers,
        "components": [{
            "component": "pricing", "generation": 3, "sha256": "0123456789abcdef", "since": "now",
            "canary": null,
        }],
    })
}

fn look(at: u64, consumers: &[Value]) -> Look {
    Look {
        status: status(consumers),
        deliveries: None,
        at: Duration::from_secs(at),
    }
}

/// Two looks at three consumers, two seconds apart.
fn screen(coloured: bool) -> Screen {
    let mut screen = Screen::new(coloured);
    screen.took(look(
        0,
        &[
            consumer("orders", "consuming", 10, 0),
            consumer("letters", "waiting", 0, 3),
            consumer("parcels", "paused", 5, 0),
        ],
    ));
    screen.took(look(
        2,
        &[
            consumer("orders", "consuming", 35, 0),
            consumer("letters", "waiting", 0, 3),
            consumer("parcels", "paused", 5, 0),
        ],
    ));
    screen
}

fn terminal(width: u16, height: u16) -> Terminal<TestBackend> {
    Terminal::new(TestBackend::new(width, height)).expect("it is in memory")
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = terminal(width, height);
    terminal
        .draw(|frame| screen.draw(frame))
        .expect("it is in memory");
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width));
    lines
        .map(|line| {
            let text: String = line.iter().map(|cell| cell.symbol()).collect();
            text.trim_end().to_owned()
        })
        .collect()
}

#[test]
fn consumers_are_rows_under_what_is_wrong_and_over_the_keys() {
    let picture = drawn(&mut screen(true), 84, 9);
    let expected = [
        "main  0.1.0  up 1h 2m 3s  1 consuming, 1 paused, 1 waiting",
        "connection main (publish) is closed: refused",
        "CONSUMER▾        STATE      WORKERS  IN FLIGHT  WAITING   ACKED/s  RETRIED/s    DEAD",
        "letters          waiting        2/5          2        0       0.0        0.0       3",
        "orders           consuming      2/5          2       35      12.5        0.0       0",
        "parcels          paused         2/5          2        5       0.0        0.0       0",
        "",
        "the queue is missing",
        "↑↓ choose  PgUp PgDn page  Enter details  s S sort  r reverse  q quit",
    ];
    assert_eq!(picture, expected, "{picture:#?}");
}

#[test]
fn a_wide_screen_has_a_column_for_reasons() {
    let picture = drawn(&mut screen(true), 140, 9);
    assert!(picture[2].ends_with("DEAD REASON"), "{picture:#?}");
    assert!(
        picture[3].ends_with("3 the queue is missing"),
        "{picture:#?}"
    );
    assert_eq!(picture[7], "");
}

#[test]
fn keys_sort_and_the_chosen_row_stays_chosen() {
    let mut screen = screen(true);
    let first = |screen: &mut Screen| {
        let picture = drawn(screen, 84, 9);
        picture[3].split(' ').next().map(str::to_owned)
    };
    screen.pressed(Key::Down);
    assert_eq!(screen.chosen.as_deref(), Some("orders"));
    for (keys, expected) in [
        (&[Key::NextColumn][..], "letters"),
        (&[Key::NextColumn, Key::NextColumn], "orders"),
        (&[Key::Reverse], "letters"),
        (&[Key::NextColumn], "orders"),
        (
            &[Key::ColumnBefore, Key::ColumnBefore, Key::ColumnBefore],
            "letters",
        ),
    ] {
        for key in keys {
            assert_eq!(screen.pressed(*key), Flow::Goes);
        }
        assert_eq!(first(&mut screen).as_deref(), Some(expected), "{keys:?}");
        assert_eq!(screen.chosen.as_deref(), Some("orders"));
    }
    assert_eq!(screen.pressed(Key::Quit), Flow::Quit);
}

#[test]
fn many_consumers_are_paged_at_any_size() {
    let consumers: Vec<_> = (0..25)
        .map(|number| consumer(&format!("c-{number:02}"), "consuming", 0, 0))
        .collect();
    let mut screen = Screen::new(true);
    screen.took(look(0, &consumers));
    let names = |picture: &[String]| {
        let rows = picture.iter().filter(|line| line.starts_with("c-"));
        rows.map(|row| row[..4].to_owned()).collect::<Vec<_>>()
    };
    let picture = drawn(&mut screen, 84, 15);
    assert_eq!(
        names(&picture),
        (0..10)
            .map(|number| format!("c-{number:02}"))
            .collect::<Vec<_>>()
    );
    assert_eq!(picture[13], "page 1 of 3");
    screen.pressed(Key::PageDown);
    let picture = drawn(&mut screen, 84, 15);
    assert_eq!(
        (names(&picture)[0].as_str(), picture[13].as_str()),
        ("c-10", "page 2 of 3")
    );
    screen.pressed(Key::Last);
    let picture = drawn(&mut screen, 84, 15);
    assert_eq!(
        (names(&picture).len(), picture[13].as_str()),
        (5, "page 3 of 3")
    );
    // The terminal gets smaller, as small as can be, and larger again.
    for (width, height) in [(40, 8), (1, 1), (3, 2)] {
        drawn(&mut screen, width, height);
    }
    let picture = drawn(&mut screen, 84, 40);
    assert_eq!((names(&picture).len(), picture[38].as_str()), (25, ""));
    screen.pressed(Key::First);
    assert_eq!(screen.chosen.as_deref(), Some("c-00"));
}

#[test]
fn a_consumer_is_opened_and_closed() {
    let mut screen = screen(true);
    screen.pressed(Key::Down);
    screen.pressed(Key::Open);
    assert_eq!(screen.opened(), Some("orders"));
    let mut newer = look(3, &[consumer("orders", "consuming", 36, 0)]);
    newer.deliveries = Some(json!({
        "listed": [{ "delivery": "o-1\u{1b}", "attempt": 2, "age_ms": 1500 }],
        "failures": [{
            "at": "12:00", "delivery": "o-2", "attempt": 1, "outcome": "dead_lettered", "class": "error",
            "error": "no price\nat main",
        }],
    }));
    screen.took(newer);
    let picture = drawn(&mut screen, 84, 30).join("\n");
    for expected in [
        "  state         consuming",
        "  component     pricing  generation 3  0123456789ab  since now",
        "  acked         36 (1.0/s)",
        "  requeued      7",
        "  dead letter   -  orders.dead  no answer",
        "  o-1\\u{1b}  attempt 2  1.5 s",
        "  12:00  o-2  attempt 1  dead-lettered  error: no price",
        "↑↓ PgUp PgDn scroll  Esc back  q quit",
    ] {
        assert!(picture.contains(expected), "{expected}: {picture}");
    }
    // It scrolls as far as there is something.
    screen.pressed(Key::Last);
    let picture = drawn(&mut screen, 84, 12);
    assert!(
        picture.iter().any(|line| line.contains("error: no price")),
        "{picture:#?}"
    );
    screen.pressed(Key::Up);
    let higher = drawn(&mut screen, 84, 12);
    assert!(
        higher.iter().any(|line| line.contains("Last failures")),
        "{higher:#?}"
    );
    // One that is gone says so, and the others are there.
    screen.took(look(4, &[consumer("letters", "waiting", 0, 3)]));
    let picture = drawn(&mut screen, 84, 12).join("\n");
    assert!(
        picture.contains("orders is no consumer of this host any more"),
        "{picture}"
    );
    screen.pressed(Key::Back);
    assert_eq!(screen.opened(), None);
    assert!(drawn(&mut screen, 84, 12).join("\n").contains("letters"));
}

#[test]
fn without_colours_there_are_none() {
    let colours = |coloured: bool| {
        let mut terminal = terminal(84, 9);
        let mut screen = screen(coloured);
        terminal
            .draw(|frame| screen.draw(frame))
            .expect("it is in memory");
        let buffer = terminal.backend().buffer();
        let cells = buffer.content().iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert!(colours(true) > 0);
    assert_eq!(colours(false), 0);
}
