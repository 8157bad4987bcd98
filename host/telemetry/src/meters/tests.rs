//! What must hold for every metric.

use super::*;

#[test]
fn the_label_of_a_lifetime_is_among_those_of_its_metric() {
    for row in Meters::ROWS {
        let label = row.lifetime.label();
        assert!(
            label.is_none_or(|label| row.labels.contains(&label)),
            "{}",
            row.name
        );
    }
}

/// A gauge shows what is now. Of a consumer that was taken out of hive.toml there is nothing to show.
#[test]
fn every_gauge_goes_with_what_it_is_a_gauge_of() {
    let gauges = Meters::ROWS.iter().filter(|row| row.kind == "gauge");
    // One without labels is of the host itself.
    let named = gauges.filter(|row| !row.labels.is_empty());
    for row in named.filter(|row| row.name != "hive_build_info") {
        assert_ne!(
            row.lifetime,
            Lifetime::Host,
            "{} is never removed",
            row.name
        );
    }
}

#[test]
fn what_is_forgotten_is_gone_and_nothing_else_is() {
    let meters = Meters::new().unwrap();
    for name in ["gone", "there"] {
        let labels = |row: &[&str]| row.iter().map(|_| name).collect::<Vec<_>>();
        for (gauge, lifetime) in meters.gauges().filter(|(_, life)| *life != Lifetime::Host) {
            let row = Meters::ROWS.iter().find(|row| {
                gauge.desc().iter().any(|desc| desc.fq_name == row.name) && row.lifetime == lifetime
            });
            gauge.with_label_values(&labels(row.unwrap().labels)).set(1);
        }
    }
    for lifetime in [
        Lifetime::Connection,
        Lifetime::Consumer,
        Lifetime::Component,
        Lifetime::Schedule,
    ] {
        meters.forget(lifetime, "gone");
    }
    let text = meters.render().unwrap();
    // A component's or a connection's name may be the value of a label of another lifetime.
    for row in Meters::ROWS
        .iter()
        .filter(|row| row.lifetime != Lifetime::Host)
    {
        let series = text
            .lines()
            .filter(|line| line.starts_with(&format!("{}{{", row.name)));
        let series: Vec<_> = series.collect();
        assert!(
            series.len() == 1 && series[0].contains("there"),
            "{series:?}"
        );
    }
}

#[test]
fn the_page_on_operations_has_every_metric() {
    let mut table = "| metric | type | labels | |\n|---|---|---|---|\n".to_owned();
    for row in Meters::ROWS {
        let (name, kind, labels, page) = (row.name, row.kind, row.labels.join(", "), row.page);
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{labels} ")
        };
        table.push_str(&format!("| `{name}` | {kind} | {labels}| {page} |\n"));
    }
    table.push_str("| `process_*` | | | Memory, processor time, descriptors and threads of the host (Linux). |\n");
    crate::docs::assert_table("metrics", &table);
}
