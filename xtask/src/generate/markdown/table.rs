//! Tables of Markdown that are as easy to read in their source as they are when rendered.

/// A column is not padded beyond this: one long cell would push all others out of sight.
const WIDEST: usize = 44;

/// A table with a head. The last column is not padded.
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| escaped(&cell))).collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        let widest = cells.filter(|width| *width <= WIDEST).max().unwrap_or(0);
        if at + 1 == N { 0 } else { widest.max(head[at].len()) }
    });
    let rule = std::array::from_fn(|at| "-".repeat(widths[at].max(head[at].len())));
    let lines = [head.map(str::to_owned), rule].into_iter().chain(rows);
    lines.map(|cells| line(&cells, &widths)).collect()
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
}

/// A cell is one line, and a bar in it is no border, not even in code.
fn escaped(cell: &str) -> String {
    super::one_line(cell).replace('|', "\\|")
}
