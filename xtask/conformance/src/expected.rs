//! The file of expected failures: names of cases, each with a reason.
//!
//! TOML (`"name" = "reason"`), or lines of a name, ` # ` and a reason. A name that no case has is
//! an error, so that the file cannot rot.

use std::collections::BTreeMap;
use std::path::Path;

/// Names of cases that fail today, and why.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    reasons: BTreeMap<String, String>,
}

impl Expected {
    /// Reads a file.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn read(file: &Path) -> Result<Self, String> {
        let place = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|bad| format!("{place}: the expected failures cannot be read: {bad}"))?;
        let is_toml = file.extension().is_some_and(|it| it == "toml");
        let reasons = if is_toml { of_toml(&text) } else { of_lines(&text) };
        let reasons = reasons.map_err(|bad| format!("{place}: {bad}"))?;
        Ok(Self { reasons })
    }

    /// Whether a case of this name is expected to fail.
    pub fn names(&self, case: &str) -> bool {
        self.reasons.contains_key(case)
    }

    /// Every entry that names none of these cases.
    pub fn without_case<'c>(&self, cases: impl Iterator<Item = &'c str>) -> Vec<String> {
        let known: std::collections::BTreeSet<_> = cases.collect();
        self.reasons.keys().filter(|name| !known.contains(name.as_str())).cloned().collect()
    }
}

fn of_toml(text: &str) -> Result<BTreeMap<String, String>, String> {
    let read: BTreeMap<String, String> = toml::from_str(text)
        .map_err(|bad| format!("not `\"case\" = \"reason\"`: {}", bad.message()))?;
    match read.iter().find(|(_, reason)| reason.trim().is_empty()) {
        Some((name, _)) => Err(format!("`{name}` has no reason")),
        None => Ok(read),
    }
}

fn of_lines(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = entries.map(|(i, line)| {
        let (name, reason) = line.split_once(" # ").unwrap_or((line, ""));
        if reason.trim().is_empty() {
            return Err(format!("line {}: write `case # reason`", i + 1));
        }
        Ok((name.trim().to_owned(), reason.trim().to_owned()))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_names_and_ask_for_reasons() {
        let name = "a/valid/random 1";
        let toml = of_toml("\"a/valid/random 1\" = \"known\"\n").unwrap();
        let lines = of_lines("# why\n\na/valid/random 1 # known\n").unwrap();
        assert_eq!(toml, lines);
        assert_eq!(toml.get(name).map(String::as_str), Some("known"));
        assert!(of_toml("\"a\" = \"\"").is_err() && of_lines("a").is_err());
        assert!(of_toml("a = 1").is_err());
    }

    #[test]
    fn entries_without_a_case_are_told() {
        let expected = Expected { reasons: of_lines("a # x\nb # y").unwrap() };
        assert!(expected.names("a") && !expected.names("c"));
        assert_eq!(expected.without_case(["a", "c"].into_iter()), ["b"]);
    }
}
