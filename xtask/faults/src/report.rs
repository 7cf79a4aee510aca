//! What came of all faults: a table in Markdown for people, JSON for programs.

use std::path::Path;

use serde::Serialize;

use crate::suite::Finding;

/// Everything that was tried.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many cases passed without any fault.
    pub control_cases: usize,
    /// How long all runs took, milliseconds.
    pub took_ms: u64,
    /// Every fault, in the order of the catalogue.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The faults that no case found.
    pub fn missed(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.found.is_empty())
    }

    /// Writes `planted-faults.md` and `planted-faults.json`; the folder is made when it is absent.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("planted-faults.md"), self.markdown())?;
        std::fs::write(folder.join("planted-faults.json"), serde_json::to_vec_pretty(self)?)
    }

    /// The table.
    pub fn markdown(&self) -> String {
        let (all, missed) = (self.findings.len(), self.missed().count());
        let mut text = format!(
            "# Planted faults\n\n{} of {all} faults found in {} s. Without a fault, {} cases pass.\n\n\
             | fault | operation | imitates | found by | failing |\n|---|---|---|---|---|\n",
            all - missed,
            self.took_ms / 1_000,
            self.control_cases,
        );
        for finding in &self.findings {
            let case = finding.found.first().map_or("**nothing**".to_owned(), |first| {
                let case = first.case.replace('|', "\\|");
                format!("`{case}`: {}", cell(&first.observed))
            });
            let Finding { fault, operation, imitates, failed, cases, .. } = finding;
            let imitates = cell(imitates);
            text.push_str(&format!(
                "| `{fault}` | {operation} | {imitates} | {case} | {failed} of {cases} |\n"
            ));
        }
        text
    }
}

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    let line = text.replace('\n', " ").replace('|', "\\|");
    match line.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use vestibule_conformance::outcome::Check;

    use super::*;
    use crate::suite::Found;

    fn finding(fault: &'static str, found: Vec<Found>) -> Finding {
        Finding {
            fault,
            imitates: "a | b",
            document: "embed",
            operation: "thingCreate",
            by: Check::Broken,
            cases: 7,
            failed: found.len(),
            found,
            took_ms: 5,
        }
    }

    #[test]
    fn a_fault_that_no_case_found_is_missed_and_said_so() {
        let found = Found {
            check: Check::Broken,
            case: "thingCreate/broken/a|b".into(),
            expectation: "400".into(),
            observed: "201\nwith a|b".into(),
        };
        let findings = vec![finding("seen", vec![found]), finding("unseen", vec![])];
        let report = Report { control_cases: 9, took_ms: 12_000, findings };
        assert_eq!(report.missed().map(|it| it.fault).collect::<Vec<_>>(), ["unseen"]);
        let rows = [
            "1 of 2 faults found in 12 s. Without a fault, 9 cases pass.",
            "| `seen` | thingCreate | a \\| b | `thingCreate/broken/a\\|b`: 201 with a\\|b | 1 of 7 |",
            "| `unseen` | thingCreate | a \\| b | **nothing** | 0 of 7 |",
        ];
        let text = report.markdown();
        assert!(rows.iter().all(|row| text.lines().any(|line| line == *row)), "{text}");
    }
}
