//! What several subcommands print of results.

use crate::records::AccuracyRecord;
use crate::report::Table;
use std::collections::BTreeMap;

/// Children best first, with accuracy and loss under every regime.
///
/// The order is by the accuracy of the last regime, so that running statistics, which belong to the last few children trained,
/// decide only where nothing else was evaluated.
pub fn ranking(rows: &[AccuracyRecord], most: usize) -> String {
    let mut norms: Vec<&str> = Vec::new();
    let mut children: BTreeMap<&str, Vec<&AccuracyRecord>> = BTreeMap::new();
    for row in rows {
        if !norms.contains(&row.norm.as_str()) {
            norms.push(&row.norm);
        }
        children.entry(&row.child).or_default().push(row);
    }
    let Some(last) = norms.last() else { return String::new() };
    let find =
        |rows: &[&AccuracyRecord], norm: &str| rows.iter().find(|row| row.norm == norm).map(|row| (*row).clone());
    let mut order: Vec<(&str, Vec<&AccuracyRecord>)> = children.into_iter().collect();
    let key = |rows: &[&AccuracyRecord]| find(rows, last).map_or(f64::NEG_INFINITY, |row| row.accuracy);
    order.sort_by(|a, b| key(&b.1).total_cmp(&key(&a.1)));
    let mut header = vec!["rank".to_owned(), "child".to_owned()];
    header.extend(norms.iter().flat_map(|norm| [format!("{norm} accuracy"), format!("{norm} loss")]));
    let mut table = Table::new(header);
    let all = order.len();
    for (rank, (child, rows)) in order.into_iter().enumerate().take(most) {
        let mut cells = vec![(rank + 1).to_string(), child.to_owned()];
        for norm in &norms {
            match find(&rows, norm) {
                Some(row) => cells.extend([format!("{:.2} %", 100.0 * row.accuracy), format!("{:.4}", row.loss)]),
                None => cells.extend([String::new(), String::new()]),
            }
        }
        table.row(cells);
    }
    if all > most { format!("{table}... and {} more\n", all - most) } else { table.to_string() }
}
