//! Alert rules and dashboard name only what the service shows: metrics, labels and stable codes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use saphyr_parser::{Event, Parser};
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;

use crate::metrics::scrape;
use crate::requests::{get, open_iframe};
use crate::service::Service;

/// What Prometheus adds by itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
const LABELS_OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability").join(name);
    std::fs::read_to_string(path).expect("it is there")
}

/// The expressions of the alert rules, by alert.
fn alerts() -> Vec<(String, String)> {
    let text = file("alerts.yaml");
    let scalars = Parser::new_from_str(&text).filter_map(|event| {
        let (event, _) = event.unwrap_or_else(|bad| panic!("alerts.yaml is no YAML: {bad}"));
        match event {
            Event::Scalar(value, ..) => Some(value.into_owned()),
            _ => None,
        }
    });
    let scalars: Vec<String> = scalars.collect();
    let after = |from: usize, key: &str| {
        let place = scalars[from..].iter().position(|scalar| scalar == key)?;
        scalars.get(from + place + 1).cloned()
    };
    let starts = scalars.iter().enumerate().filter(|(_, scalar)| *scalar == "alert");
    let alerts: Vec<_> = starts
        .map(|(at, _)| {
            for key in ["severity", "summary", "description"] {
                let said = after(at, key);
                assert!(said.is_some_and(|it| !it.is_empty()), "{}: {key}", scalars[at + 1]);
            }
            (scalars[at + 1].clone(), after(at, "expr").expect("an expression"))
        })
        .collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    alerts
}

/// The expressions of the dashboard, by panel.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "no id twice");
    let mut all = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            all.push((
                title.to_owned(),
                target["expr"].as_str().expect("an expression").to_owned(),
            ));
        }
    }
    assert!(all.len() > 10, "{all:?}");
    all
}

#[tokio::test]
async fn every_metric_and_label_of_rules_and_dashboard_is_shown() {
    let service = Service::start(|config| {
        config.metrics_bind = Some("127.0.0.1:0".parse().expect("an address"));
    });
    let demo = &service.demo.demo;
    open_iframe(&service.base_url, demo, &json!({ "uid": "u", "srcs": ["of nobody"] })).await;
    get(&service.url("/v1/embed/session"), "nobody's").await;
    let shown = labels_by_metric(scrape(&service).await.into_keys());
    for (place, expression) in alerts().into_iter().chain(panels()) {
        let Named { metrics, labels } = named(&expression);
        assert!(!metrics.is_empty(), "{place}: {expression}");
        let mut known: BTreeSet<&str> = LABELS_OF_PROMETHEUS.into_iter().collect();
        for metric in &metrics {
            let found = shown.get(metric);
            let is_known = found.is_some() || OF_PROMETHEUS.contains(&metric.as_str());
            assert!(is_known, "{place}: nothing shows {metric}");
            known.extend(found.into_iter().flatten().map(String::as_str));
        }
        for label in labels {
            assert!(known.contains(&*label), "{place}: {metrics:?} have no label {label}");
        }
    }
}

#[test]
fn every_reason_of_the_rules_is_a_stable_code() {
    let codes = OPERATIONS.iter().flat_map(|operation| operation.answers).flat_map(|it| it.1);
    let codes: BTreeSet<_> = codes.map(|code| code.name).collect();
    let mut seen = 0;
    for (place, expression) in alerts().into_iter().chain(panels()) {
        for part in expression.split("reason=").skip(1) {
            let value = part.trim_start_matches('~').split('"').nth(1).expect("a quoted value");
            for code in value.split('|') {
                assert!(codes.contains(code), "{place}: no operation is refused with {code}");
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "the rules look at reasons");
}

#[test]
fn names_are_found_in_expressions() {
    let found = named(
        "histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{b=~\"c{}|d\"}[5m]))) > 0.5 \
         and on (e) f offset 1d unless g{h=\"i\"}",
    );
    assert_eq!(found.metrics, ["a_bucket", "f", "g"].map(str::to_owned).into());
    assert_eq!(found.labels, ["b", "e", "h", "job", "le"].map(str::to_owned).into());
}

/// What an expression names.
struct Named {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

const KEYWORDS: [&str; 15] = [
    "and",
    "avg",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "max",
    "min",
    "offset",
    "on",
    "or",
    "sum",
    "unless",
    "without",
];
/// What a list of labels follows.
const LISTS: [&str; 6] = ["by", "group_left", "group_right", "ignoring", "on", "without"];

/// A plain reading of PromQL: words outside of strings, ranges and numbers, by what is beside them.
fn named(expression: &str) -> Named {
    let mut named = Named { metrics: BTreeSet::new(), labels: BTreeSet::new() };
    let quiet = without_strings_and_ranges(expression);
    let (mut last, mut in_list, mut in_braces) = (String::new(), false, false);
    let mut rest = quiet.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length == 0 {
            in_list = (first == '(' && LISTS.contains(&last.as_str())) || (in_list && first != ')');
            in_braces = first == '{' || (in_braces && first != '}');
            if !first.is_whitespace() {
                last.clear();
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = &rest[..length];
        rest = &rest[length..];
        let next = rest.trim_start().chars().next();
        if in_list || (in_braces && matches!(next, Some('=' | '!'))) {
            named.labels.insert(word.to_owned());
        } else if !first.is_ascii_digit() && next != Some('(') && !KEYWORDS.contains(&word) {
            named.metrics.insert(word.to_owned());
        }
        word.clone_into(&mut last);
    }
    named
}

fn without_strings_and_ranges(expression: &str) -> String {
    let (mut in_string, mut in_range) = (false, false);
    let keep = |c: char| {
        if c == '"' {
            in_string = !in_string;
        } else if !in_string && (c == '[' || c == ']') {
            in_range = c == '[';
        }
        let is_shown = !in_string && !in_range && c != '"' && c != ']';
        if is_shown { c } else { ' ' }
    };
    expression.chars().map(keep).collect()
}

/// The labels of every metric that is shown; those of a histogram by the names of its series.
fn labels_by_metric(samples: impl Iterator<Item = String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in samples {
        let (name, labels) = sample.split_once('{').unwrap_or((&sample, ""));
        let names = labels.split("=\"").map(|part| part.rsplit(['"', ',', '{']).next());
        let names = names.flatten().map(|name| name.trim_matches(['}', ',']).to_owned());
        let known = all.entry(name.to_owned()).or_default();
        known.extend(names.filter(|name| !name.is_empty()));
    }
    all
}
