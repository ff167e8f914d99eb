//! The graphs of a model.

use super::build::{Choice, GraphBuilder};
use super::graph::Graph;
use crate::network::Model;
use crate::space::Child;

impl Graph {
    /// One graph of these children; common prefixes stand once.
    ///
    /// # Panics
    /// If the model does not hold one of them.
    pub fn of_children(model: &Model, children: &[Child]) -> Self {
        let mut builder = GraphBuilder::new(&model.network);
        for child in children {
            builder.lane(Choice::Child(child), &|parameter| model.copies.of(parameter, child));
        }
        builder.finish()
    }

    /// The graph in which every candidate of every edge is computed, weighted by its gate.
    pub fn of_mixture(model: &Model) -> Self {
        let mut builder = GraphBuilder::new(&model.network);
        builder.lane(Choice::Mixture, &|_| 0);
        builder.finish()
    }
}
