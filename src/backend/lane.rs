//! A graph made ready to run: its slots of memory and its row of weight gradients.

use crate::network::Network;
use crate::network::ParameterRef;
use crate::ops::Cost;
use crate::plan::{Graph, Order, Schedule};
use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plans that were made so far.
static PLANS: AtomicU64 = AtomicU64::new(0);

/// Everything about one lane that does not change from step to step.
pub struct LanePlan {
    /// No other plan of this process has it.
    pub number: u64,
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
    /// Gradients that come in one piece, not in parts: those of scales and shifts. Place of each in a short row.
    pub whole_gradients: HashMap<ParameterRef, std::ops::Range<usize>>,
    /// Elements of the short row.
    pub whole_gradients_len: usize,
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
        let bank_len = |reference: &ParameterRef| network.parameters[reference.parameter].layout.bank_len();
        let (row, row_len) = places(parameters.iter(), bank_len);
        let number = PLANS.fetch_add(1, Ordering::Relaxed);
        Self { number, graph, schedule, levels: OnceLock::new(), training, parameters, row, row_len, cost }
    }

    /// For devices that run a level at a time.
    pub fn levels(&self) -> &Levels {
        self.levels.get_or_init(|| {
            let order = Order::levels(&self.graph, self.training);
            let schedule = Schedule::new(&self.graph, &order);
            let affine = self.graph.values.iter().filter_map(|value| value.norm?.affine).flatten();
            let affine: BTreeSet<ParameterRef> = affine.collect();
            let len = |reference: &ParameterRef| self.row_range(*reference).len();
            let (whole_gradients, whole_gradients_len) = places(affine.iter(), len);
            Levels { order, schedule, whole_gradients, whole_gradients_len }
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

/// Gradients one after another, each on a cache line of its own: their places, and the length of all.
fn places<'a>(
    parameters: impl Iterator<Item = &'a ParameterRef>,
    len: impl Fn(&ParameterRef) -> usize,
) -> (HashMap<ParameterRef, std::ops::Range<usize>>, usize) {
    let mut end = 0;
    let places = parameters
        .map(|reference| {
            let range = end..end + len(reference);
            end = range.end.next_multiple_of(16);
            (*reference, range)
        })
        .collect();
    (places, end)
}
