//! A network with the copies of parameters that one replica's children need.

use super::{BankLayout, Copies, Network, Norm, Sharing};
use crate::plan::{Choice, Graph, GraphBuilder};
use crate::space::Child;
use std::sync::Arc;

/// What a replica trains; does not change during a run. Replicas with the same children share it.
pub struct Model {
    pub network: Network,
    pub sharing: Sharing,
    pub copies: Copies,
    pub layout: Arc<BankLayout>,
    /// Where the channels of the running mean and variance, and of the bias before them, lie in their places of the bank, by
    /// normalization; empty where neither is tracked.
    pub running_positions: Vec<Vec<usize>>,
}

impl Model {
    /// `children`: those that may be drawn, in the order that numbers private copies; nothing depends on them where the policy
    /// shares everything.
    pub fn new(network: Network, sharing: Sharing, children: &[Child]) -> Self {
        let copies = sharing.copies(&network, children);
        let layout = Arc::new(BankLayout::new(&network, &copies));
        let positions = |norm: &Norm| {
            norm.running.map_or_else(Vec::new, |[mean, _]| network.parameters[mean].layout.bank_positions())
        };
        let running_positions = network.norms.iter().map(positions).collect();
        Self { network, sharing, copies, layout, running_positions }
    }

    /// Whether the model holds the parameters of this child.
    pub fn holds(&self, child: &Child) -> bool {
        self.network.space.contains(child) && self.copies.holds(child)
    }

    /// One graph of these children; common prefixes stand once.
    ///
    /// # Panics
    /// If the model does not hold one of them.
    pub fn graph(&self, children: &[Child]) -> Graph {
        let mut builder = GraphBuilder::new(&self.network);
        for child in children {
            builder.lane(Choice::Child(child), &|parameter| self.copies.of(parameter, child));
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
