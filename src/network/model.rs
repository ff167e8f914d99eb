//! A network with the children that one replica trains, and the copies of parameters that they need.

use super::{BankLayout, Copies, Network, Sharing};
use crate::plan::{Choice, Graph, GraphBuilder};
use crate::space::Child;
use std::sync::Arc;

/// What a replica trains; does not change during a run. Replicas with the same children share it.
pub struct Model {
    pub network: Network,
    pub sharing: Sharing,
    /// The children that may be drawn, in the order that numbers private copies.
    pub children: Vec<Child>,
    pub copies: Copies,
    pub layout: Arc<BankLayout>,
}

impl Model {
    pub fn new(network: Network, sharing: Sharing, children: Vec<Child>) -> Self {
        let copies = sharing.copies(&network, &children);
        let layout = Arc::new(BankLayout::new(&network, &copies));
        Self { network, sharing, children, copies, layout }
    }

    /// One graph of the children at these positions of `children`; common prefixes stand once.
    pub fn graph(&self, children: &[usize]) -> Graph {
        let mut builder = GraphBuilder::new(&self.network);
        for &index in children {
            // A parameter that a child does not use is never asked for.
            builder.lane(Choice::Child(&self.children[index]), &|parameter| {
                self.copies.of(parameter, index).unwrap_or(0)
            });
        }
        builder.finish()
    }

    /// The graph in which every candidate of every edge is computed, weighted by its gate.
    pub fn mixture(&self) -> Graph {
        let mut builder = GraphBuilder::new(&self.network);
        builder.lane(Choice::Mixture, &|_| 0);
        builder.finish()
    }
}
