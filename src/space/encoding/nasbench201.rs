//! Candidates by name, edges by their source, nodes joined by `+`: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` (arXiv 2001.00326).

use super::super::model::Cell;

/// Where a text stops being a child, and what should stand there.
pub(super) struct Mistake {
    /// Counts from 1.
    pub column: usize,
    pub expected: String,
}

/// Reads what has not been read yet.
struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn mistake(&self, expected: impl Into<String>) -> Mistake {
        let read = &self.text[..self.text.len() - self.rest.len()];
        Mistake { column: read.chars().count() + 1, expected: expected.into() }
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), Mistake> {
        self.rest = self.rest.strip_prefix(symbol).ok_or_else(|| self.mistake(format!("`{symbol}`")))?;
        Ok(())
    }

    /// Everything up to `end`, which must come.
    fn until(&mut self, end: char, expected: &str) -> Result<&'a str, Mistake> {
        let (word, _) = self.rest.split_once(end).ok_or_else(|| self.mistake(expected))?;
        Ok(word)
    }
}

/// Sources of the edges into each node, nodes in order.
fn sources(cell: &Cell) -> impl Iterator<Item = Vec<usize>> + '_ {
    let edges = cell.edge_list();
    (cell.inputs.len()..cell.node_count())
        .map(move |node| edges.iter().filter(|(_, target)| *target == node).map(|(source, _)| *source).collect())
}

pub(super) fn parse(text: &str, cell: &Cell) -> Result<Vec<u8>, Mistake> {
    let mut cursor = Cursor { text, rest: text };
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
    if cursor.rest.is_empty() { Ok(choices) } else { Err(cursor.mistake("the end")) }
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
