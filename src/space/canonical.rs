//! What a child computes, whatever its string: which children are the same network.

use super::child::Child;
use super::model::{Candidate, Cell, Space};

/// A node without a path from an input.
const ZERO: &str = "#";

impl Space {
    /// The children's cells as canonical strings of NAS-Bench-201 (arXiv 2001.00326), one a searched cell joined by `/`: input `i` is
    /// `i`; a term of a node is `#` if its candidate is zero or its source is exactly `#`, the source's string for an identity that keeps the
    /// size, else `(source)@candidate`; a node joins its sorted terms with `+`. 6,466 strings for 15,625 children.
    pub fn canonical_string(&self, child: &Child) -> String {
        self.strings(child, |terms| terms)
    }

    /// As [`Space::canonical_string`], but zero terms are left out and the terms of an identity's source are taken one by one: equal
    /// for children that are equal as functions by these two rules. 4,930 strings.
    pub fn flattened_string(&self, child: &Child) -> String {
        self.strings(child, |terms| {
            let terms = terms.iter().flat_map(|term| split(term)).filter(|term| *term != ZERO);
            let terms: Vec<String> = terms.map(str::to_owned).collect();
            if terms.is_empty() { vec![ZERO.to_owned()] } else { terms }
        })
    }

    /// Whether every searched cell of the child has a path from an input to its output.
    pub fn is_connected(&self, child: &Child) -> bool {
        self.cell_choices(child).all(|(cell, choices)| {
            let mut reached = vec![true; cell.inputs.len()];
            reached.resize(cell.node_count(), false);
            for ((source, target), &candidate) in cell.edge_list().into_iter().zip(choices) {
                reached[target] |= reached[source] && !self.is_zero(cell, candidate);
            }
            cell.output.nodes.iter().any(|node| reached[*node])
        })
    }

    /// Whether this candidate of a cell gives zero.
    pub fn is_zero(&self, cell: &Cell, candidate: u8) -> bool {
        matches!(self.candidates.get(&cell.candidates[usize::from(candidate)]), Some(Candidate::Zero))
    }

    /// Every searched cell with the child's choices for it.
    fn cell_choices<'a>(&'a self, child: &'a Child) -> impl Iterator<Item = (&'a Cell, &'a [u8])> {
        let mut rest = child.0.as_slice();
        self.searched_cells().into_iter().map(move |(_, cell)| {
            let (choices, after) = rest.split_at(cell.edge_list().len());
            rest = after;
            (cell, choices)
        })
    }

    fn strings(&self, child: &Child, simplify: impl Fn(Vec<String>) -> Vec<String>) -> String {
        let cells = self.cell_choices(child).map(|(cell, choices)| self.cell_string(cell, choices, &simplify));
        cells.collect::<Vec<_>>().join("/")
    }

    fn cell_string(&self, cell: &Cell, choices: &[u8], simplify: &impl Fn(Vec<String>) -> Vec<String>) -> String {
        let mut nodes: Vec<String> = (0..cell.inputs.len()).map(|input| input.to_string()).collect();
        let edges: Vec<_> = cell.edge_list().into_iter().zip(choices).collect();
        for node in cell.inputs.len()..cell.node_count() {
            let terms = edges.iter().filter(|((_, target), _)| *target == node).map(|((source, _), candidate)| {
                let name = &cell.candidates[usize::from(**candidate)];
                match self.candidates.get(name) {
                    _ if nodes[*source] == ZERO => ZERO.to_owned(),
                    Some(Candidate::Zero) => ZERO.to_owned(),
                    Some(Candidate::Identity { .. }) if cell.edge_stride(*source) == 1 => nodes[*source].clone(),
                    _ => format!("({})@{name}", nodes[*source]),
                }
            });
            let mut terms = simplify(terms.collect());
            terms.sort_unstable();
            nodes.push(terms.join("+"));
        }
        let outputs: Vec<&str> = cell.output.nodes.iter().map(|node| nodes[*node].as_str()).collect();
        outputs.join(",")
    }
}

/// The terms of a sum: parts between `+` outside parentheses.
fn split(sum: &str) -> Vec<&str> {
    let (mut depth, mut start, mut terms) = (0, 0, Vec::new());
    for (at, symbol) in sum.char_indices() {
        match symbol {
            '(' => depth += 1,
            ')' => depth -= 1,
            '+' if depth == 0 => {
                terms.push(&sum[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&sum[start..]);
    terms
}
