//! The child that gates make.

use crate::plan::Gates;
use crate::space::{Cell, Child, Space};

/// The child with the strongest candidate on every edge. Where a cell's nodes keep only some of their edges (DARTS, arXiv 1806.09055, section
/// 2.4), zero candidates do not compete: a node keeps the edges whose strongest candidates have the largest gates, and the others take a zero
/// candidate. Ties go to the earlier edge and candidate.
pub fn derive(space: &Space, gates: &Gates) -> Child {
    let mut rest = gates.0.as_slice();
    let mut choices = Vec::new();
    for (_, cell) in space.searched_cells() {
        let edges = cell.edge_list();
        for node in edges.chunk_by(|(_, target), (_, other)| target == other) {
            let (incoming, after) = rest.split_at(node.len());
            rest = after;
            match cell.kept_edges {
                Some(kept) => choices.extend(strongest_edges(space, cell, incoming, kept)),
                None => choices.extend(incoming.iter().map(|edge| strongest(edge, |_| true).0)),
            }
        }
    }
    Child(choices)
}

/// The first candidate with the largest gate among those that may be chosen, and its gate.
fn strongest(gates: &[f64], may: impl Fn(u8) -> bool) -> (u8, f64) {
    let candidates = gates.iter().enumerate().map(|(candidate, gate)| (candidate as u8, *gate));
    let larger = |best: (u8, f64), next: (u8, f64)| if next.1 > best.1 { next } else { best };
    candidates.filter(|(candidate, _)| may(*candidate)).fold((0, f64::NEG_INFINITY), larger)
}

/// Choices for the edges into one node, of which it keeps the strongest.
fn strongest_edges(space: &Space, cell: &Cell, incoming: &[Vec<f64>], kept: usize) -> Vec<u8> {
    let best: Vec<(u8, f64)> =
        incoming.iter().map(|edge| strongest(edge, |candidate| !space.is_zero(cell, candidate))).collect();
    let mut order: Vec<usize> = (0..incoming.len()).collect();
    order.sort_by(|a, b| best[*b].1.total_cmp(&best[*a].1));
    let zero = (0..cell.candidates.len() as u8).find(|candidate| space.is_zero(cell, *candidate)).unwrap_or(0);
    let mut choices = vec![zero; incoming.len()];
    order.into_iter().take(kept).for_each(|edge| choices[edge] = best[edge].0);
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_of_nasbench201_takes_its_strongest_candidate_none_included() {
        let space = Space::built_in("nasbench201").expect("a built-in space");
        let strong = |candidate: usize| {
            let mut edge = vec![0.1; 5];
            edge[candidate] = 0.6;
            edge
        };
        let child = derive(&space, &Gates([3, 0, 4, 1, 2, 0].map(strong).to_vec()));
        let expected = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|";
        assert_eq!(space.format_child(&child), expected);
        let even = derive(&space, &Gates(vec![vec![0.2; 5]; 6]));
        assert_eq!(even, Child(vec![0; 6]), "ties go to the first candidate");
    }

    #[test]
    fn a_node_keeps_the_edges_with_the_strongest_candidates_beside_zero() {
        let mut space = Space::built_in("nasbench201").expect("a built-in space");
        space.cells.values_mut().for_each(|cell| cell.kept_edges = Some(2));
        let gates = Gates(vec![
            vec![0.9, 0.0, 0.1, 0.0, 0.0], // the only edge of its node
            vec![0.6, 0.1, 0.1, 0.1, 0.1], // two edges, both kept
            vec![0.2, 0.2, 0.2, 0.2, 0.2],
            vec![0.5, 0.3, 0.1, 0.1, 0.0], // 0.3, ties with the last: the earlier is kept
            vec![0.0, 0.1, 0.4, 0.1, 0.4], // 0.4, the first of two equal candidates
            vec![0.1, 0.1, 0.1, 0.3, 0.1],
        ]);
        assert_eq!(derive(&space, &gates), Child(vec![2, 1, 1, 1, 2, 0]));
    }
}
