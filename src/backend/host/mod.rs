//! Training and evaluation in host memory, for any executor: gathers lanes, runs them, adds their rows, updates the banks.

mod evaluate;
mod step;
mod update;

use super::{Executor, LanePlan};
use crate::network::Model;
use crate::space::Child;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use evaluate::{ChildEvaluation, EvaluationPlan, EvaluationRegime, Recalibrated};
pub use step::{LaneLoss, Reduce, ReplicaStep};
pub use update::{Gradients, update};

/// Plans of single children that are kept; beyond it the cache starts anew.
const MOST_PLANS: usize = 4096;

/// The model's address, and the child.
type PlanKey = (usize, Child);

/// The plan, and the model, so that its address stays its own.
type CachedPlan = (Arc<LanePlan>, Arc<Model>);

/// A backend whose banks lie in host memory.
pub struct Host<E> {
    pub executor: E,
    plans: Mutex<HashMap<PlanKey, CachedPlan>>,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E) -> Self {
        Self { executor, plans: Mutex::new(HashMap::new()) }
    }

    /// The training plan of one child of a model.
    pub fn training_plan(&self, model: &Arc<Model>, child: &Child) -> Arc<LanePlan> {
        let key = (Arc::as_ptr(model) as usize, child.clone());
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MOST_PLANS {
            plans.clear();
        }
        let make = || {
            let graph = model.graph(std::slice::from_ref(child));
            (Arc::new(LanePlan::training(&model.network, graph)), model.clone())
        };
        plans.entry(key).or_insert_with(make).0.clone()
    }
}
