//! Plans of single lanes, made once and used again.

use super::LanePlan;
use crate::network::Model;
use crate::plan::{Choice, Graph};
use crate::space::Child;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Plans that are kept; beyond it the cache starts anew.
const MOST_PLANS: usize = 4096;

/// The model's address, and the child; none for the mixture.
type PlanKey = (usize, Option<Child>);

/// The plan, and the model, so that its address stays its own.
type CachedPlan = (Arc<LanePlan>, Arc<Model>);

#[derive(Default)]
pub struct TrainingPlans {
    plans: Mutex<HashMap<PlanKey, CachedPlan>>,
}

impl TrainingPlans {
    /// The training plan of one child of a model, or of its mixture.
    pub fn of(&self, model: &Arc<Model>, choice: Choice<'_>) -> Arc<LanePlan> {
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
