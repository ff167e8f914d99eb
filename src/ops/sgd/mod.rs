//! Stochastic gradient descent as PyTorch defines it, and its options.

pub mod cuda;
pub mod host;

use crate::network::Model;
use crate::plan::ParameterRef;
use serde::{Deserialize, Serialize};

/// What happens to a parameter that no lane of a step used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsampled {
    /// Once a parameter has had a gradient, every later step updates it, with gradient zero where it was not used: momentum and
    /// weight decay go on moving it (PyTorch 1.x, whose `zero_grad` fills zeros).
    #[default]
    Decay,
    /// Only steps that use it move it (PyTorch 2).
    Skip,
}

/// Options of the update, without the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    /// Largest norm of the gradient of all parameters together, before weight decay.
    pub clip_norm: Option<f64>,
    pub unsampled: Unsampled,
}

/// Shared parameters that had a gradient before, but none in this step: what [`Unsampled::Decay`] moves beside the used ones.
/// Private copies stay where none of their children is in the step.
fn started_but_unused(model: &Model, started: &[bool], is_used: impl Fn(ParameterRef) -> bool) -> Vec<ParameterRef> {
    let shared = (0..model.network.parameters.len()).filter(|&parameter| model.copies.is_shared(parameter));
    let references = shared.map(|parameter| ParameterRef { parameter, copy: 0 });
    references.filter(|&reference| started[model.layout.number(reference)] && !is_used(reference)).collect()
}

/// What clipping multiplies all gradients by, `norm` being that of all of them together: `min(1, limit / (norm + 1e-6))`.
pub fn clip_factor(limit: f64, norm: f64) -> f64 {
    (limit / (norm + 1e-6)).min(1.0)
}
