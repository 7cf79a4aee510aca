//! The report for the description of a merge request.

use super::{Judged, Report, objection, place, reach};

impl Report {
    pub fn markdown(&self) -> String {
        let mut out = format!("## Changes of the documents\n\n{}\n", self.closing());
        if !self.changes.is_empty() {
            out += &format!("\nCompared with {}.\n", self.title());
        }
        let mut last = None;
        for ((document, subject), changes) in self.groups() {
            if last.replace(document) != Some(document) {
                out +=
                    &format!("\n### `{document}`\n\n| where | class | change | what | place |\n");
                out += "|---|---|---|---|---|\n";
            }
            changes.iter().for_each(|judged| out += &row(&subject, judged));
        }
        self.paste_block(&mut out);
        self.removals(&mut out);
        self.dissents(&mut out);
        out
    }

    fn paste_block(&self, out: &mut String) {
        let snippets = self.snippets();
        if !snippets.is_empty() {
            let all = snippets.join("\n");
            *out += &format!("\n### To approve, with a reason each\n\n```toml\n{all}```\n");
        }
    }

    fn removals(&self, out: &mut String) {
        if self.leftovers.is_empty() {
            return;
        }
        *out += "\n### Approvals to remove\n\n";
        for leftover in &self.leftovers {
            let it = &leftover.approval;
            *out += &format!(
                "- `{}` at `{}` of `{}` (line {}): {}\n",
                it.change,
                it.pointer,
                it.document,
                it.line,
                objection(leftover)
            );
        }
    }

    fn dissents(&self, out: &mut String) {
        if self.second_opinion.is_empty() {
            return;
        }
        *out += "\n<details><summary>Where `drift` disagrees</summary>\n\n";
        *out += "| document | pointer | we | drift |\n|---|---|---|---|\n";
        for it in &self.second_opinion {
            let cells = [&it.document, &it.pointer, &it.ours, &it.drift].map(|text| cell(text));
            *out += &format!("| {} |\n", cells.join(" | "));
        }
        *out += "\n</details>\n";
    }
}

fn row(subject: &str, judged: &Judged) -> String {
    let change = &judged.change;
    let class = change.class.to_string();
    let class = if change.class.is_breaking() { format!("**{class}**") } else { class };
    let approved = judged
        .approval
        .as_ref()
        .map_or_else(String::new, |it| format!(" (approved {}: {})", it.date, it.reason));
    let reach = Some(reach(change)).filter(|it| !it.is_empty());
    let reach = reach.map(|it| format!(" ({it})")).unwrap_or_default();
    let cells = [
        cell(subject),
        cell(&format!("{class}{approved}")),
        format!("`{}`", change.name),
        cell(&format!("{}{reach}", change.what)),
        cell(&place(judged)),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// Text that cannot end a table's cell or line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
