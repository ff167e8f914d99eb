//! Genotypes of DARTS (arXiv 1806.09055) as Python writes its named tuple: two edges a node, each a candidate and its source, on the others nothing:
//! `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`.

use super::super::model::Cell;
use super::cursor::{Cursor, Mistake};

/// What a genotype begins with.
pub(super) const NAME: &str = "Genotype";

/// Edges into a node that a genotype keeps.
pub(super) const KEPT: usize = 2;

/// A node for which a genotype has no words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("none: node {node} of `{cell}` takes {found} edges that are not zero, and a genotype keeps {KEPT}")]
pub struct NoGenotype {
    pub cell: String,
    pub node: usize,
    pub found: usize,
}

/// A searched cell as a genotype sees it.
pub(super) struct Part<'a> {
    pub name: &'a str,
    pub cell: &'a Cell,
    /// The candidate of edges that a genotype does not name.
    pub zero: u8,
}

impl Part<'_> {
    /// Computed nodes, each with its edges: number in the cell, source.
    fn nodes(&self) -> impl Iterator<Item = (usize, Vec<(usize, usize)>)> + '_ {
        let edges = self.cell.edge_list();
        (self.cell.inputs.len()..self.cell.node_count()).map(move |node| {
            let into = edges.iter().enumerate().filter(|(_, (_, target))| *target == node);
            (node, into.map(|(edge, (source, _))| (edge, *source)).collect())
        })
    }

    /// The nodes of the output: `range(2, 6)`, or a list where they are not in a row.
    fn concatenated(&self) -> String {
        let nodes = &self.cell.output.nodes;
        let (first, last) = (nodes.first().copied().unwrap_or(0), nodes.last().copied().unwrap_or(0));
        if nodes.iter().copied().eq(first..=last) {
            return format!("range({first}, {})", last + 1);
        }
        format!("[{}]", nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }
}

/// Passes a symbol, with blanks before it as Python allows them.
fn token(cursor: &mut Cursor, symbol: &str) -> Result<(), Mistake> {
    cursor.skip_blanks();
    cursor.symbol(symbol)
}

fn accept(cursor: &mut Cursor, symbol: &str) -> bool {
    cursor.skip_blanks();
    cursor.accept(symbol)
}

/// Choices of all parts, one after the other.
pub(super) fn parse(text: &str, parts: &[Part]) -> Result<Vec<u8>, Mistake> {
    let mut cursor = Cursor::new(text);
    let mut choices = Vec::new();
    token(&mut cursor, NAME)?;
    token(&mut cursor, "(")?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            token(&mut cursor, ",")?;
        }
        token(&mut cursor, part.name)?;
        token(&mut cursor, "=")?;
        choices.extend(edges(&mut cursor, part)?);
        token(&mut cursor, ",")?;
        token(&mut cursor, &format!("{}_concat", part.name))?;
        token(&mut cursor, "=")?;
        concatenation(&mut cursor, part)?;
    }
    accept(&mut cursor, ",");
    token(&mut cursor, ")")?;
    cursor.skip_blanks();
    cursor.end()?;
    Ok(choices)
}

/// `[('op', source), ...]`, nodes in order.
fn edges(cursor: &mut Cursor, part: &Part) -> Result<Vec<u8>, Mistake> {
    let mut choices = vec![part.zero; part.cell.edge_list().len()];
    token(cursor, "[")?;
    for (number, (node, edges)) in part.nodes().enumerate() {
        let mut open = edges;
        for kept in 0..KEPT {
            if number + kept > 0 {
                token(cursor, ",")?;
            }
            token(cursor, "(")?;
            let candidate = candidate(cursor, part)?;
            token(cursor, ",")?;
            cursor.skip_blanks();
            let sources: Vec<_> = open.iter().map(|(_, source)| source.to_string()).collect();
            let expected = format!("a source of node {node} ({})", sources.join(", "));
            let source = cursor.number(|source| open.iter().any(|(_, own)| *own == source), &expected)?;
            token(cursor, ")")?;
            // A source that was named is no longer open.
            open.retain(|&(edge, own)| {
                if own == source {
                    choices[edge] = candidate;
                }
                own != source
            });
        }
    }
    accept(cursor, ",");
    token(cursor, "]")?;
    Ok(choices)
}

/// A candidate in quotes that is not zero.
fn candidate(cursor: &mut Cursor, part: &Part) -> Result<u8, Mistake> {
    let quote = if accept(cursor, "\"") { '"' } else { '\'' };
    if quote == '\'' {
        cursor.symbol("'")?;
    }
    let name = cursor.until(quote, &format!("a candidate and `{quote}`"))?;
    let zero = &part.cell.candidates[usize::from(part.zero)];
    let Some(found) = part.cell.candidates.iter().position(|own| own == name && own != zero) else {
        let allowed: Vec<_> = part.cell.candidates.iter().filter(|own| *own != zero).cloned().collect();
        return Err(cursor.mistake(format!("one of {}", allowed.join(", "))));
    };
    cursor.symbol(name)?;
    cursor.symbol(&quote.to_string())?;
    Ok(found as u8)
}

/// `range(2, 6)` or `[2, 3, 4, 5]`, which must be the nodes of the cell's output.
fn concatenation(cursor: &mut Cursor, part: &Part) -> Result<(), Mistake> {
    cursor.skip_blanks();
    let nodes = &part.cell.output.nodes;
    let wrong = cursor.mistake(format!("`{}`, the nodes of this space's output,", part.concatenated()));
    let any = |_| true;
    let found: Vec<usize> = if cursor.accept("range") {
        token(cursor, "(")?;
        cursor.skip_blanks();
        let first = cursor.number(any, "a node")?;
        token(cursor, ",")?;
        cursor.skip_blanks();
        let end = cursor.number(any, "a node")?;
        token(cursor, ")")?;
        (first..end).take(nodes.len() + 1).collect()
    } else {
        token(cursor, "[")?;
        let mut found = Vec::new();
        while !accept(cursor, "]") {
            if !found.is_empty() {
                token(cursor, ",")?;
                cursor.skip_blanks();
            }
            found.push(cursor.number(any, "a node or `]`")?);
        }
        found
    };
    if found == *nodes { Ok(()) } else { Err(wrong) }
}

/// The genotype of these choices, sources of a node in order.
pub(super) fn format(choices: &[u8], parts: &[Part]) -> Result<String, NoGenotype> {
    let mut rest = choices;
    let mut fields = Vec::new();
    for part in parts {
        let (own, after) = rest.split_at(part.cell.edge_list().len());
        rest = after;
        let mut pairs = Vec::new();
        for (node, edges) in part.nodes() {
            let kept: Vec<_> = edges.into_iter().filter(|(edge, _)| own[*edge] != part.zero).collect();
            if kept.len() != KEPT {
                return Err(NoGenotype { cell: part.name.to_owned(), node, found: kept.len() });
            }
            let pair = |(edge, source): (usize, usize)| {
                format!("('{}', {source})", part.cell.candidates[usize::from(own[edge])])
            };
            pairs.extend(kept.into_iter().map(pair));
        }
        fields.push(format!("{}=[{}]", part.name, pairs.join(", ")));
        fields.push(format!("{}_concat={}", part.name, part.concatenated()));
    }
    Ok(format!("{NAME}({})", fields.join(", ")))
}
