//! The graph of a searched cell: edges in order, their strides, and the names of parameters on them.

use super::model::{Cell, OutputRule};
use super::template::expand;

impl Cell {
    /// (source, target) of every edge; inputs are numbered first. Targets in order, then sources: the order in which a
    /// node adds its edges and a child lists its choices.
    pub fn edge_list(&self) -> Vec<(usize, usize)> {
        match &self.edges {
            Some(edges) => edges.iter().map(|&[source, target]| (source, target)).collect(),
            None => (self.inputs.len()..self.node_count())
                .flat_map(|target| (0..target).map(move |source| (source, target)))
                .collect(),
        }
    }

    /// Inputs and computed nodes together.
    pub fn node_count(&self) -> usize {
        self.inputs.len() + self.nodes
    }

    /// 2 on the edges that leave an input of a cell that reduces, else 1.
    pub fn edge_stride(&self, source: usize) -> usize {
        if self.reduces && source < self.inputs.len() { 2 } else { 1 }
    }

    /// Output channels as a multiple of the cell's C.
    pub fn output_multiple(&self) -> usize {
        match self.output.rule {
            OutputRule::Concat => self.output.nodes.len(),
            OutputRule::Last | OutputRule::Sum => 1,
        }
    }

    /// Prefix of the parameters of one candidate (from 0) on one edge of `edge_list`, for the block with this index.
    pub fn candidate_prefix(
        &self,
        block: usize,
        edge: usize,
        (source, target): (usize, usize),
        candidate: usize,
    ) -> String {
        expand(
            &self.prefix,
            &[
                ("cell", block),
                ("edge", edge),
                ("source", source),
                ("target", target),
                ("node", target - self.inputs.len()),
                ("candidate", candidate),
            ],
        )
    }
}
