//! The cells of a search space, or of a child of it, as an SVG picture.
//!
//! Nodes stand in a row. An edge between neighbors is a straight line, any other an arc above the row, the higher the more columns it spans;
//! what leaves for the output runs below. Every edge carries a label at its middle, so labels of edges that span equally many columns stand one
//! column apart, and others at different heights: none meet.

mod draw;
mod layout;
mod svg;
#[cfg(test)]
mod tests;

/// What is drawn: one panel a cell.
#[derive(Clone, Debug, Default)]
pub struct CellGraph {
    pub title: String,
    pub panels: Vec<Panel>,
}

/// One searched cell.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    pub heading: String,
    /// A caption for every input node.
    pub inputs: Vec<String>,
    /// Computed nodes, numbered after the inputs.
    pub nodes: usize,
    pub edges: Vec<Edge>,
    /// Nodes that enter the output.
    pub output_nodes: Vec<usize>,
    /// How the output is made of several nodes; empty for one node.
    pub output_rule: String,
    /// What edges choose from; listed under the panel where edges show numbers.
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// It passes nothing on.
    pub is_zero: bool,
}

/// `source < target`; targets are computed nodes.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub source: usize,
    pub target: usize,
    /// The candidate taken, from 0; without it the edge shows the numbers of all.
    pub chosen: Option<usize>,
}

impl Panel {
    fn node_count(&self) -> usize {
        self.inputs.len() + self.nodes
    }

    /// Whether its edges show numbers, which the list of candidates explains.
    fn shows_numbers(&self) -> bool {
        self.edges.iter().any(|edge| edge.chosen.is_none())
    }
}

/// Draws `graph`; equal graphs give equal text.
pub fn cell_graph(graph: &CellGraph) -> String {
    draw::graph(graph)
}
