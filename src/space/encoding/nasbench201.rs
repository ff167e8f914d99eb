//! Candidates by name, edges by their source, nodes joined by `+`: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` (arXiv 2001.00326).

use super::super::model::Cell;
use super::cursor::{Cursor, Mistake};

/// Sources of the edges into each node, nodes in order.
fn sources(cell: &Cell) -> impl Iterator<Item = Vec<usize>> + '_ {
    let edges = cell.edge_list();
    (cell.inputs.len()..cell.node_count())
        .map(move |node| edges.iter().filter(|(_, target)| *target == node).map(|(source, _)| *source).collect())
}

pub(super) fn parse(text: &str, cell: &Cell) -> Result<Vec<u8>, Mistake> {
    let mut cursor = Cursor::new(text);
    let mut choices = Vec::new();
    for (node, sources) in sources(cell).enumerate() {
        if node > 0 {
            cursor.symbol("+")?;
        }
        cursor.symbol("|")?;
        for source in sources {
            let name = cursor.until('~', &format!("a candidate and `~{source}|`"))?;
            let candidate = cell.candidates.iter().position(|candidate| candidate == name);
            let candidate =
                candidate.ok_or_else(|| cursor.mistake(format!("one of {}", cell.candidates.join(", "))))?;
            choices.push(candidate as u8);
            cursor.symbol(name)?;
            cursor.symbol(&format!("~{source}|"))?;
        }
    }
    cursor.end()?;
    Ok(choices)
}

pub(super) fn format(choices: &[u8], cell: &Cell) -> String {
    let mut choices = choices.iter();
    let nodes = sources(cell).map(|sources| {
        let terms = sources.iter().zip(&mut choices);
        let terms = terms.map(|(source, &candidate)| format!("{}~{source}", cell.candidates[usize::from(candidate)]));
        format!("|{}|", terms.collect::<Vec<_>>().join("|"))
    });
    nodes.collect::<Vec<_>>().join("+")
}
