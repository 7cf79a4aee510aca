//! Bounds that no value satisfies, and bounds that readers do not keep exactly.

use std::collections::BTreeSet;

use super::is_set;
use crate::document::{Finding, Node, NodeValue, Object, Site, nearest};
use crate::lint::view::{Place, View};
use crate::rule;

/// 2^53 - 1, the last integer that every JSON reader keeps exactly.
const EXACT: i64 = 9_007_199_254_740_991;

/// Lower and upper bounds of sizes.
const SIZES: [(&str, &str); 3] =
    [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")];

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, site) in view.sites(Object::Schema) {
        let mut judge = Judge { view, file, site, findings: &mut findings };
        judge.sizes();
        judge.companions();
        judge.range();
        judge.integer();
        judge.required();
        judge.enumeration();
        judge.distinct();
    }
    findings
}

/// One schema under judgement.
struct Judge<'v, 't> {
    view: &'v View<'t>,
    file: usize,
    site: &'t Site<'t>,
    findings: &'v mut Vec<Finding>,
}

impl<'t> Judge<'_, 't> {
    fn report(&mut self, at: &Node, rule: &'static rule::Rule, message: String) {
        self.findings.push(self.view.finding(self.file, at.span, rule, message));
    }

    fn integer_of(&self, name: &str) -> Option<(&'t Node, i64)> {
        let node = self.site.node.get(name)?;
        if let NodeValue::Int(number) = node.value { Some((node, number)) } else { None }
    }

    fn sizes(&mut self) {
        for (lower, upper) in SIZES {
            let (Some((node, least)), Some((_, most))) =
                (self.integer_of(lower), self.integer_of(upper))
            else {
                continue;
            };
            if least > most {
                let message = format!("`{lower}` {least} is above `{upper}` {most}");
                self.report(node, &rule::EMPTY_RANGE, message);
            }
        }
        let node = self.site.node;
        let required = node.get("required").map_or(0, |it| it.items().len());
        if let Some((at, most)) = self.integer_of("maxProperties")
            && i64::try_from(required).is_ok_and(|required| required > most)
        {
            let message = format!("{required} members are required and {most} allowed");
            self.report(at, &rule::EMPTY_RANGE, message);
        }
        let known = node.get("properties").map_or(0, |it| it.entries().len());
        if let Some((at, least)) = self.integer_of("minProperties")
            && is_closed(node)
            && i64::try_from(known).is_ok_and(|known| known < least)
        {
            let message = format!("{least} members are needed and {known} exist");
            self.report(at, &rule::EMPTY_RANGE, message);
        }
    }

    /// Keywords that say something about another one, which is not there.
    fn companions(&mut self) {
        let node = self.site.node;
        let has = |name: &str| node.get(name).is_some();
        let mut lonely = |name: &str, other: &str| {
            let Some((key, _)) = node.entry(name) else { return };
            let message = format!("`{name}` means nothing without {other}");
            let rule = &rule::MISPLACED_KEYWORD;
            self.findings.push(self.view.finding(self.file, key.span, rule, message));
        };
        for (name, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            if !has(bound) {
                lonely(name, &format!("`{bound}`"));
            }
        }
        if is_closed(node) {
            lonely("x-property-names", "members beyond `properties`");
            lonely("x-max-depth", "members beyond `properties`");
        }
    }

    fn range(&mut self) {
        let node = self.site.node;
        let bound = |name: &str| node.get(name).and_then(|it| Some((it, number(it)?)));
        let (Some((at, least)), Some((_, most))) = (bound("minimum"), bound("maximum")) else {
            return;
        };
        let is_integer = node.get("type").and_then(Node::as_str) == Some("integer");
        let (above, below) = (is_set(node, "exclusiveMinimum"), is_set(node, "exclusiveMaximum"));
        let step = bound("multipleOf").map(|(_, step)| step).or(is_integer.then_some(1.0));
        let is_empty = match step {
            _ if least > most => true,
            None => least == most && (above || below),
            Some(step) => {
                let mut first = (least / step).ceil() * step;
                if above && first <= least {
                    first += step;
                }
                first > most || (below && first >= most)
            }
        };
        if is_empty {
            let kind = if is_integer { "integer" } else { "number" };
            let message = format!("no {kind} lies between `minimum` {least} and `maximum` {most}");
            self.report(at, &rule::EMPTY_RANGE, message);
        }
    }

    fn integer(&mut self) {
        let node = self.site.node;
        let Some(kind) = node.get("type").filter(|it| it.as_str() == Some("integer")) else {
            return;
        };
        for name in ["minimum", "maximum"] {
            let Some(bound) = node.get(name) else { continue };
            let is_exact = number(bound).is_some_and(|it| it.abs() <= EXACT as f64);
            if !is_exact {
                let message = format!("`{name}` is beyond 2^53 - 1");
                self.report(bound, &rule::LARGE_INTEGER, message);
            }
        }
        for value in node.get("enum").map_or(&[][..], Node::items) {
            if matches!(value.value, NodeValue::Int(it) if !(-EXACT..=EXACT).contains(&it)) {
                self.report(value, &rule::LARGE_INTEGER, "the value is beyond 2^53 - 1".into());
            }
        }
        let missing = ["minimum", "maximum"].into_iter().filter(|name| node.get(name).is_none());
        let missing: Vec<_> = missing.map(|name| format!("`{name}`")).collect();
        if node.get("enum").is_none() && !missing.is_empty() {
            let message = format!("the integer has no {}", missing.join(" and no "));
            let finding =
                self.view.finding(self.file, kind.span, &rule::UNBOUNDED_INTEGER, message);
            let help = format!("the furthest they may be is -{EXACT} and {EXACT}");
            self.findings.push(finding.help(help));
        }
    }

    fn required(&mut self) {
        let node = self.site.node;
        let properties = node.get("properties").map_or(&[][..], Node::entries);
        let known: BTreeSet<&str> = properties.iter().map(|(key, _)| key.text.as_str()).collect();
        let mut named = BTreeSet::new();
        for entry in node.get("required").map_or(&[][..], Node::items) {
            let Some(name) = entry.as_str() else { continue };
            if !named.insert(name) {
                let message = format!("`{name}` is required twice");
                self.report(entry, &rule::DUPLICATE_REQUIRED, message);
            }
            if is_closed(node) && !known.contains(name) {
                let message = format!("`{name}` is required and no property of this closed object");
                let finding =
                    self.view.finding(self.file, entry.span, &rule::UNKNOWN_REQUIRED, message);
                let help = nearest(name, known.iter().copied())
                    .map(|near| format!("did you mean `{near}`?"));
                self.findings.push(finding.maybe_help(help));
            }
        }
    }

    fn enumeration(&mut self) {
        let mut known = BTreeSet::new();
        for value in self.site.node.get("enum").map_or(&[][..], Node::items) {
            let text = value.to_json().to_string();
            if known.contains(&text) {
                self.report(value, &rule::DUPLICATE_ENUM, format!("{text} is listed twice"));
            }
            known.insert(text);
        }
    }

    /// `uniqueItems` with more entries than there are values.
    fn distinct(&mut self) {
        let node = self.site.node;
        let Some((at, least)) = self.integer_of("minItems") else { return };
        if !is_set(node, "uniqueItems") {
            return;
        }
        let place = Place { file: self.file, node };
        let Some(items) = self.view.member(place, "items").map(|it| it.node) else { return };
        let kind = items.get("type").and_then(Node::as_str);
        let values = match items.get("enum") {
            Some(values) => i64::try_from(values.items().len()).ok(),
            None if kind == Some("boolean") => Some(2),
            None => None,
        };
        let Some(values) = values.map(|it| it + i64::from(is_set(items, "nullable"))) else {
            return;
        };
        if values < least {
            let message = format!("{least} different entries are needed and {values} values exist");
            self.report(at, &rule::TOO_FEW_VALUES, message);
        }
    }
}

/// Whether an object takes no members but its properties.
fn is_closed(schema: &Node) -> bool {
    schema.get("additionalProperties").is_some_and(|it| it.value == NodeValue::Bool(false))
}

fn number(node: &Node) -> Option<f64> {
    match node.value {
        NodeValue::Int(number) => Some(number as f64),
        NodeValue::Float(number) => Some(number),
        _ => None,
    }
}
