//! Children: one candidate for every edge of every searched cell.

use super::mixed_radix::MixedRadix;
use super::model::{Cell, Space};

/// One architecture: the candidate (from 0) of every edge of every searched cell, in the order of [`Space::choices`].
/// Their order is lexicographic.
///
/// A method of [`Space`] that takes a child takes one of that space: parsed, enumerated, drawn or indexed there, or
/// accepted by [`Space::contains`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Child(pub Vec<u8>);

impl Child {
    /// Edges on which the two choose differently.
    pub fn hamming_distance(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(a, b)| a != b).count()
    }

    /// Edges on which the two choose the same candidate, and so share its weights.
    pub fn shared_candidates(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count()
    }
}

impl Space {
    /// Number of candidates for every choice of a child: the edges of all searched cells in order.
    pub fn choices(&self) -> Vec<usize> {
        let cells = self.searched_cells();
        cells.iter().flat_map(|(_, cell)| vec![cell.candidates.len(); cell.edge_list().len()]).collect()
    }

    /// The names of the candidates for every choice of a child.
    pub fn choice_candidates(&self) -> Vec<&[String]> {
        let cells = self.searched_cells();
        cells.into_iter().flat_map(|(_, cell)| vec![cell.candidates.as_slice(); cell.edge_list().len()]).collect()
    }

    /// A label for every choice of a child: `0->1`, or `normal 0->2` where there are several searched cells.
    pub fn edge_names(&self) -> Vec<String> {
        edge_names(&self.searched_cells())
    }

    /// Whether this is a child of the space: as many choices as it has edges, each below the number of candidates.
    pub fn contains(&self, child: &Child) -> bool {
        let choices = self.choices();
        child.0.len() == choices.len()
            && child.0.iter().zip(choices).all(|(&candidate, count)| usize::from(candidate) < count)
    }

    pub fn child_count(&self) -> u128 {
        self.radices().count().unwrap_or(u128::MAX)
    }

    /// Position in the lexicographic order of all children; the first edge is the most significant. Modulo 2^128, which only the
    /// children of untied spaces outnumber.
    pub fn index_of(&self, child: &Child) -> u128 {
        self.radices().index_of(&child.0)
    }

    /// The child at a position below [`Space::child_count`]; a larger one wraps around.
    pub fn child_at(&self, index: u128) -> Child {
        Child(self.radices().at(index))
    }

    /// All children in lexicographic order.
    pub fn enumerate(&self) -> Children {
        let radices = self.radices();
        Children { next: Some(Child(vec![0; radices.0.len()])), radices }
    }

    /// All children at Hamming distance 1: edges in order, candidates in order.
    pub fn neighbors(&self, child: &Child) -> Vec<Child> {
        let mut neighbors = Vec::new();
        for (edge, (&own, count)) in child.0.iter().zip(self.choices()).enumerate() {
            for candidate in (0..count).map(|candidate| candidate as u8).filter(|&candidate| candidate != own) {
                let mut neighbor = child.clone();
                neighbor.0[edge] = candidate;
                neighbors.push(neighbor);
            }
        }
        neighbors
    }

    /// A child with every edge drawn by itself, in order: `draw(n)` gives a number below n, uniform if the child is to be.
    pub fn sample(&self, draw: &mut impl FnMut(u32) -> u32) -> Child {
        Child(self.choices().into_iter().map(|count| draw(count as u32) as u8).collect())
    }

    /// As [`Space::sample`], but the edges into a node are drawn again, all of them, while every one of them took a zero candidate.
    /// Nodes whose candidates are all zero are drawn once.
    pub fn sample_nodes(&self, draw: &mut impl FnMut(u32) -> u32) -> Child {
        let mut choices = Vec::new();
        for (_, cell) in self.searched_cells() {
            let edges = cell.edge_list();
            let count = cell.candidates.len();
            let zero = |candidate: &u8| self.is_zero(cell, *candidate);
            let only_zero = (0..count as u8).all(|candidate| zero(&candidate));
            for node in cell.inputs.len()..cell.node_count() {
                let incoming = edges.iter().filter(|(_, target)| *target == node).count();
                loop {
                    let drawn: Vec<u8> = (0..incoming).map(|_| draw(count as u32) as u8).collect();
                    if only_zero || !drawn.iter().all(zero) {
                        choices.extend(drawn);
                        break;
                    }
                }
            }
        }
        Child(choices)
    }

    pub(super) fn radices(&self) -> MixedRadix {
        MixedRadix(self.choices())
    }
}

/// A label for every edge of these cells, with the cell's where there are several.
pub(super) fn edge_names(cells: &[(String, &Cell)]) -> Vec<String> {
    let several = cells.len() > 1;
    let names = cells.iter().flat_map(|(name, cell)| {
        let prefix = if several { format!("{name} ") } else { String::new() };
        cell.edge_list().into_iter().map(move |(source, target)| format!("{prefix}{source}->{target}"))
    });
    names.collect()
}

/// All children of a space in lexicographic order.
#[derive(Clone, Debug)]
pub struct Children {
    next: Option<Child>,
    radices: MixedRadix,
}

impl Iterator for Children {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        let child = self.next.take()?;
        let mut next = child.clone();
        self.next = self.radices.increment(&mut next.0).then_some(next);
        Some(child)
    }
}
