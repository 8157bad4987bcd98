//! The rules of deploy/prometheus and the dashboard of deploy/grafana: Prometheus takes them, they name what the host
//! has, and docs/runbook.md says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use hive_tests::house::documents::{headings, words};
use hive_tests::{scratch, workspace};
use serde_json::{Value, json};

const RULES: &str = "deploy/prometheus/hive.rules.yaml";
const TESTS: &str = "deploy/prometheus/tests.yaml";
const DASHBOARD: &str = "deploy/grafana/hive.json";

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(workspace().join(path)).with_context(|| path.to_owned())
}

/// Where scripts/prepare has put it, or the one of the PATH.
fn promtool() -> PathBuf {
    let own = workspace().join("target/tools/promtool");
    if own.exists() { own } else { "promtool".into() }
}

fn check(arguments: &[&str], file: &Path) -> Result<()> {
    let output = Command::new(promtool())
        .args(arguments)
        .arg(file)
        .output()
        .context("promtool does not run: scripts/prepare gets it")?;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    ensure!(
        output.status.success(),
        "promtool {arguments:?}: {}",
        said.concat()
    );
    Ok(())
}

/// Each alert with the lines of its rule.
fn alerts(rules: &str) -> BTreeMap<&str, &str> {
    let blocks = rules.split("- alert: ").skip(1);
    let blocks = blocks.map(|block| block.split("\n\n").next().unwrap_or_default());
    blocks.filter_map(|block| block.split_once('\n')).collect()
}

/// What the recording rules are called.
fn recorded(rules: &str) -> BTreeSet<&str> {
    rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- record: "))
        .collect()
}

/// The labels of each metric, by the table of docs/operations.md, which is made of those that the host has.
fn metrics(operations: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let rows = operations
        .lines()
        .filter_map(|line| line.strip_prefix("| `hive_"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let labels = cells.get(2)?.split(", ").map(str::trim);
        Some((*cells.first()?, labels.collect()))
    })
    .map(|(name, labels): (&str, BTreeSet<&str>)| (name.trim_end_matches('`'), labels))
    .collect()
}

/// What is wrong with the metrics that a text names, and with the labels in the braces behind them.
fn unknown(text: &str, rules: &str, operations: &str) -> Vec<String> {
    let metrics = metrics(operations);
    // The recorded names have those of metrics in them, but for their ends.
    let recorded = recorded(rules);
    let longest_first = recorded.iter().rev();
    let text = longest_first.fold(text.to_owned(), |text, name| text.replace(name, "recorded"));
    let mut unknown = Vec::new();
    for name in words(&text, "hive_") {
        let ends = ["_bucket", "_count", "_sum"];
        let base = ends.iter().find_map(|end| name.strip_suffix(end));
        let metric = base.unwrap_or(name).trim_start_matches("hive_");
        let Some(labels) = metrics.get(metric) else {
            unknown.push(name.to_owned());
            continue;
        };
        let opened = format!("{name}{{");
        let selectors = text.split(&opened).skip(1);
        let selectors = selectors.filter_map(|rest| rest.split('}').next());
        for label in selectors.flat_map(|selector| selector.split(',')) {
            let label = label.split(['=', '!']).next().unwrap_or_default();
            if !labels.contains(label) && !["job", "instance", "le"].contains(&label) {
                unknown.push(format!("{name}{{{label}}}"));
            }
        }
    }
    unknown
}

/// The panels of the dashboard, but for the heads of rows.
fn panels(dashboard: &Value) -> Result<Vec<&Value>> {
    let panels = dashboard["panels"].as_array().context("no panels")?;
    Ok(panels
        .iter()
        .filter(|panel| panel["type"] != "row")
        .collect())
}

fn queries(dashboard: &Value) -> Result<Vec<String>> {
    let mut queries = Vec::new();
    for panel in panels(dashboard)? {
        let targets = panel["targets"].as_array();
        let targets = targets.filter(|targets| !targets.is_empty());
        for target in targets.with_context(|| format!("{} asks nothing", panel["title"]))? {
            let query = target["expr"].as_str().context("a target without expr")?;
            queries.push(query.to_owned());
        }
    }
    Ok(queries)
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_when_it_should_alone() -> Result<()> {
    check(&["check", "rules"], &workspace().join(RULES))?;
    check(&["test", "rules"], &workspace().join(TESTS))
}

#[test]
fn each_alert_says_what_it_is_and_has_its_section_and_its_test() -> Result<()> {
    let (rules, tests, runbook) = (read(RULES)?, read(TESTS)?, read("docs/runbook.md")?);
    let alerts = alerts(&rules);
    assert!(alerts.len() > 20, "{alerts:?}");
    for (alert, rule) in &alerts {
        for key in ["expr:", "for:", "summary:", "description:"] {
            assert!(rule.contains(&format!(" {key} ")), "{alert} has no {key}");
        }
        let severities = ["critical", "warning"].map(|of| format!("{{ severity: {of} }}"));
        assert!(
            severities.iter().any(|of| rule.contains(of)),
            "{alert} has no severity"
        );
        let section = format!("runbook_url: docs/runbook.md#{}", alert.to_lowercase());
        assert!(
            rule.lines().any(|line| line.trim() == section),
            "{alert}: {section}"
        );
    }
    let names: BTreeSet<&str> = alerts.keys().copied().collect();
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<&str> = sections.filter(|head| head.starts_with("Hive")).collect();
    assert_eq!(
        sections, names,
        "the sections of docs/runbook.md and the alerts"
    );
    let tested = tests
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "));
    assert_eq!(
        tested.collect::<BTreeSet<_>>(),
        names,
        "the tests and the alerts"
    );
    // The table at the head of the page has each of them too.
    let linked = names.iter().filter(|name| {
        let link = format!("| [{name}](#{}) | ", name.to_lowercase());
        runbook.lines().any(|line| line.starts_with(&link))
    });
    assert_eq!(linked.count(), names.len(), "rows of the table");
    assert!(
        headings(&runbook).contains("the-rules"),
        "other pages lead there"
    );
    Ok(())
}

#[test]
fn rules_dashboard_and_runbook_name_metrics_and_labels_that_the_host_has() -> Result<()> {
    let (rules, operations) = (read(RULES)?, read("docs/operations.md")?);
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)?)?;
    let variables = dashboard["templating"]["list"].to_string();
    let texts = [
        ("the rules", rules.clone()),
        ("their tests", read(TESTS)?),
        (
            "the dashboard",
            queries(&dashboard)?.join("\n") + &variables.replace('\\', ""),
        ),
        ("the runbook", read("docs/runbook.md")?),
    ];
    for (which, text) in texts {
        let unknown = unknown(&text, &rules, &operations);
        assert!(unknown.is_empty(), "{which}: the host has no {unknown:?}");
    }
    Ok(())
}

#[test]
fn grafana_can_read_the_dashboard_and_prometheus_its_queries() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)?)?;
    let all = dashboard["panels"].as_array().context("no panels")?;
    let ids: BTreeSet<Option<u64>> = all.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), all.len(), "ids of panels are given twice");
    assert!(!ids.contains(&None), "a panel has no id");
    for panel in panels(&dashboard)? {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty(), "{panel}");
        assert!(
            panel["description"].is_string(),
            "{title} has no description"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
    if let Some((one, other)) = overlapping(all) {
        bail!("{} lies over {}", one["title"], other["title"]);
    }
    // Grafana puts a length of time in place of this one; the other variables are in texts.
    let queries = queries(&dashboard)?.into_iter();
    let queries = queries.map(|query| query.replace("$__rate_interval", "5m"));
    let rules = queries.enumerate();
    let rules = rules.map(|(at, query)| json!({"record": format!("query_{at}"), "expr": query}));
    let rules: Vec<Value> = rules.collect();
    // JSON is YAML too.
    let file = scratch("queries").join("queries.yaml");
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(&file, groups.to_string())?;
    check(&["check", "rules"], &file)
}

/// Two panels with a place in common.
fn overlapping(panels: &[Value]) -> Option<(&Value, &Value)> {
    let range = |panel: &Value, from: &str, size: &str| {
        let number = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(0);
        number(from)..number(from) + number(size)
    };
    let meet = |one: &Value, other: &Value, from: &str, size: &str| {
        let (one, other) = (range(one, from, size), range(other, from, size));
        one.start < other.end && other.start < one.end
    };
    let pairs = panels.iter().enumerate().flat_map(|(at, one)| {
        let others = &panels[at + 1..];
        others.iter().map(move |other| (one, other))
    });
    let mut pairs =
        pairs.filter(|(one, other)| meet(one, other, "x", "w") && meet(one, other, "y", "h"));
    pairs.next()
}

/// scripts/manifests makes it.
#[test]
fn the_manifest_for_the_prometheus_operator_has_the_same_rules() -> Result<()> {
    let manifest = read("deploy/kubernetes/prometheusrule.yaml")?;
    let (_, spec) = manifest.split_once("\nspec:\n").context("no spec")?;
    let spec = spec
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line));
    let rules = read(RULES)?;
    let rules = rules.lines().skip_while(|line| *line != "groups:");
    assert_eq!(spec.collect::<Vec<_>>(), rules.collect::<Vec<_>>());
    Ok(())
}
