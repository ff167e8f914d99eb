//! A graph made ready to run: its slots of memory and its row of weight gradients.

use crate::network::Network;
use crate::network::ParameterRef;
use crate::ops::Cost;
use crate::plan::{Graph, Order, Schedule};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Everything about one lane that does not change from step to step.
pub struct LanePlan {
    pub graph: Graph,
    /// One stage after the other.
    pub schedule: Schedule,
    levels: OnceLock<Levels>,
    training: bool,
    /// Trained parameters that the lane uses, in ascending order.
    pub parameters: Vec<ParameterRef>,
    /// Place of each of them in the lane's row of weight gradients (kernel layout).
    row: HashMap<ParameterRef, std::ops::Range<usize>>,
    /// Elements of the row.
    pub row_len: usize,
    /// FLOPs and bytes of an image, forward and backward for a training plan.
    pub cost: Cost,
}

/// A graph's stages in levels that run side by side, and its memory in that order.
pub struct Levels {
    pub order: Order,
    pub schedule: Schedule,
}

impl LanePlan {
    /// Forward and backward of one lane, without what no result depends on.
    pub fn training(network: &Network, graph: Graph) -> Self {
        let graph = graph.pruned(true);
        let cost = graph.training_cost(size_of::<f32>() as u64);
        Self::new(network, graph, true, cost)
    }

    /// Forward of one or several lanes, likewise.
    pub fn evaluation(network: &Network, graph: Graph) -> Self {
        let graph = graph.pruned(false);
        let cost = graph.forward_cost(size_of::<f32>() as u64);
        Self::new(network, graph, false, cost)
    }

    fn new(network: &Network, graph: Graph, training: bool, cost: Cost) -> Self {
        let schedule = Schedule::new(&graph, &Order::sequential(&graph, training));
        let parameters = graph.parameters();
        let mut row_len = 0;
        let row = (parameters.iter())
            .map(|reference| {
                let len = network.parameters[reference.parameter].layout.bank_len();
                let range = row_len..row_len + len;
                row_len = range.end.next_multiple_of(16);
                (*reference, range)
            })
            .collect();
        Self { graph, schedule, levels: OnceLock::new(), training, parameters, row, row_len, cost }
    }

    /// For devices that run a level at a time.
    pub fn levels(&self) -> &Levels {
        self.levels.get_or_init(|| {
            let order = Order::levels(&self.graph, self.training);
            let schedule = Schedule::new(&self.graph, &order);
            Levels { order, schedule }
        })
    }

    /// Where a parameter's gradient lies in the row.
    ///
    /// # Panics
    /// If the lane does not use the parameter.
    pub fn row_range(&self, reference: ParameterRef) -> std::ops::Range<usize> {
        self.row[&reference].clone()
    }
}
