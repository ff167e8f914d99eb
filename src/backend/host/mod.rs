//! Training and evaluation in host memory, for any executor: gathers lanes, runs them, adds their rows, updates the banks.

mod evaluate;
mod gates;
mod step;
mod update;

use super::{Executor, LanePlan};
use crate::network::Model;
use crate::plan::{Choice, Gates, Graph};
use crate::space::Child;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use evaluate::{ChildEvaluation, EvaluationPlan, EvaluationRegime, Recalibrated};
pub use gates::{GateGradients, GateStep};
pub use step::{LaneLoss, Reduce, ReplicaStep};
pub use update::{Gradients, update};

/// Plans of single lanes that are kept; beyond it the cache starts anew.
const MOST_PLANS: usize = 4096;

/// What a lane trains.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    Child(Child),
    /// Every candidate of every edge, weighted by its gate.
    Mixture(Gates),
}

impl Architecture {
    pub fn choice(&self) -> Choice<'_> {
        match self {
            Self::Child(child) => Choice::Child(child),
            Self::Mixture(_) => Choice::Mixture,
        }
    }

    /// The gates of a mixture.
    pub fn gates(&self) -> Option<&Gates> {
        match self {
            Self::Child(_) => None,
            Self::Mixture(gates) => Some(gates),
        }
    }
}

/// The model's address, and the child; none for the mixture.
type PlanKey = (usize, Option<Child>);

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

    /// The training plan of one child of a model, or of its mixture.
    pub fn training_plan(&self, model: &Arc<Model>, choice: Choice<'_>) -> Arc<LanePlan> {
        let child = match choice {
            Choice::Child(child) => Some(child),
            Choice::Mixture => None,
        };
        let key = (Arc::as_ptr(model) as usize, child.cloned());
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MOST_PLANS {
            plans.clear();
        }
        let make = || {
            let graph = child.map_or_else(
                || Graph::of_mixture(model),
                |child| Graph::of_children(model, std::slice::from_ref(child)),
            );
            (Arc::new(LanePlan::training(&model.network, graph)), model.clone())
        };
        plans.entry(key).or_insert_with(make).0.clone()
    }
}
