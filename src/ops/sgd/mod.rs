//! Stochastic gradient descent as PyTorch defines it, and its options.

pub mod host;

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
