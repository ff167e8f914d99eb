//! A graph made ready to run: its slots of memory and its row of weight gradients.

use crate::network::Network;
use crate::network::ParameterRef;
use crate::ops::Cost;
use crate::plan::{Graph, Schedule};
use std::collections::HashMap;

/// Everything about one lane that does not change from step to step.
pub struct LanePlan {
    pub graph: Graph,
    pub schedule: Schedule,
    /// Trained parameters that the lane uses, in ascending order.
    pub parameters: Vec<ParameterRef>,
    /// Place of each of them in the lane's row of weight gradients (kernel layout).
    row: HashMap<ParameterRef, std::ops::Range<usize>>,
    /// Elements of the row.
    pub row_len: usize,
    /// FLOPs and bytes of an image, forward and backward for a training plan.
    pub cost: Cost,
}

impl LanePlan {
    /// Forward and backward of one lane, without what no result depends on.
    pub fn training(network: &Network, graph: Graph) -> Self {
        let graph = graph.pruned(true);
        let schedule = Schedule::training(&graph);
        let cost = graph.training_cost(size_of::<f32>() as u64);
        Self::new(network, graph, schedule, cost)
    }

    /// Forward of one or several lanes, likewise.
    pub fn evaluation(network: &Network, graph: Graph) -> Self {
        let graph = graph.pruned(false);
        let schedule = Schedule::evaluation(&graph);
        let cost = graph.forward_cost(size_of::<f32>() as u64);
        Self::new(network, graph, schedule, cost)
    }

    fn new(network: &Network, graph: Graph, schedule: Schedule, cost: Cost) -> Self {
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
        Self { graph, schedule, parameters, row, row_len, cost }
    }

    /// Where a parameter's gradient lies in the row.
    ///
    /// # Panics
    /// If the lane does not use the parameter.
    pub fn row_range(&self, reference: ParameterRef) -> std::ops::Range<usize> {
        self.row[&reference].clone()
    }
}
