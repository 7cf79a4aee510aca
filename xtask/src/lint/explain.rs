//! The catalogue for people: the list of all rules, and one rule with its examples.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::document::nearest;
use crate::rule::{self, Rule};

const HEAD: Style = AnsiColor::Cyan.on_default().bold();
const NAME: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// An example file taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Examples<'t> {
    /// The place in a document that the two texts stand in.
    pub place: &'t str,
    pub bad: &'t str,
    pub good: &'t str,
}

impl<'t> Examples<'t> {
    /// `# place`, `# bad` and `# good` each begin a part; `None` if one is missing.
    pub fn of(rule: &'static Rule) -> Option<Examples<'t>> {
        let text = rule.examples;
        let (head, rest) = text.split_once("\n# bad\n")?;
        let (bad, good) = rest.split_once("\n# good\n")?;
        let place = head.strip_prefix("# place: ")?;
        (!bad.trim().is_empty() && !good.trim().is_empty()).then_some(Examples { place, bad, good })
    }
}

/// Every rule with its reason, by subject.
pub fn list() -> String {
    let widest = rule::ALL.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    let mut subject = "";
    for rule in rule::ALL {
        if rule.subject != subject {
            subject = rule.subject;
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{HEAD}{subject}{HEAD:#}");
        }
        let _ = writeln!(out, "  {NAME}{:widest$}{NAME:#}  {}", rule.name, rule.reason);
    }
    let count = rule::ALL.len();
    let _ = write!(out, "\n{count} rules; `cargo xtask lint --explain RULE` shows examples.");
    out
}

/// One rule: why, how to mend it, a bad and a good example.
pub fn one(name: &str) -> Result<String, String> {
    let Some(rule) = rule::find(name) else {
        let near = nearest(name, rule::ALL.iter().map(|rule| rule.name));
        let help = near.map_or_else(
            || "`cargo xtask lint --rules` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("error: there is no rule `{name}`: {help}"));
    };
    let mut out = format!("{HEAD}{}{HEAD:#} ({})\n\n", rule.name, rule.subject);
    let _ = writeln!(out, "{}\n{NAME}Remedy:{NAME:#} {}", rule.reason, rule.remedy);
    if let Some(examples) = Examples::of(rule) {
        let each = [(BAD, "Bad", examples.bad), (GOOD, "Good", examples.good)];
        for (style, title, text) in each {
            let _ = writeln!(out, "\n{style}{title}{style:#}, {}:\n", examples.place);
            for line in text.trim_end().lines() {
                let _ = writeln!(out, "{}", format!("    {line}").trim_end());
            }
        }
    }
    Ok(out.trim_end().to_owned())
}
