//! A network with the copies of parameters that one replica's children need.

use super::{BankLayout, Copies, Network, Norm, Sharing};
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
}
