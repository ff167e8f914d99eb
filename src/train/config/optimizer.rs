//! The optimizer and its schedule of rates.

use super::ConfigError;
use crate::ops::sgd::{Sgd, Unsampled};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateSchedule {
    #[default]
    Constant,
    /// `min + (max - min) * (1 + cos(pi * done / all)) / 2`.
    Cosine,
    /// `max * gamma^n`, n the milestones reached, or the whole step sizes done.
    StepDecay,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleUnit {
    #[default]
    Epoch,
    Step,
}

/// SGD; defaults are the paper's (arXiv 2001.01431) with a constant rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    pub learning_rate: f64,
    /// Where a cosine ends; 0.001 unless given, or `learning_rate` where that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_learning_rate: Option<f64>,
    pub schedule: RateSchedule,
    /// What a cosine and a step decay count.
    pub schedule_unit: ScheduleUnit,
    /// Epochs or steps after which a step decay multiplies the rate by `gamma`, in ascending order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<u64>,
    /// In place of milestones: every so many epochs or steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_size: Option<u64>,
    /// Factor of a step decay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    /// Largest norm of all gradients together; no clipping unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    pub unsampled: Unsampled,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.025,
            minimum_learning_rate: None,
            schedule: RateSchedule::Constant,
            schedule_unit: ScheduleUnit::Epoch,
            milestones: Vec::new(),
            step_size: None,
            gamma: None,
            momentum: 0.9,
            weight_decay: 1e-3,
            nesterov: false,
            clip_norm: None,
            unsampled: Unsampled::Decay,
        }
    }
}

impl OptimizerConfig {
    pub(in crate::train) fn validate(&self) -> Result<(), ConfigError> {
        let problem = |key, problem: String| Err(ConfigError::Value { key, problem });
        for (key, value) in [
            ("optimizer.learning_rate", self.learning_rate),
            ("optimizer.minimum_learning_rate", self.minimum_learning_rate()),
            ("optimizer.weight_decay", self.weight_decay),
        ] {
            if !value.is_finite() || value < 0.0 {
                return problem(key, format!("must be a finite number of at least 0, not {value}"));
            }
        }
        let (rate, minimum) = (self.learning_rate, self.minimum_learning_rate());
        if self.schedule == RateSchedule::Cosine && minimum > rate {
            return problem(
                "optimizer.minimum_learning_rate",
                format!(
                    "is {minimum}, above optimizer.learning_rate = {rate}, from which a cosine falls; lower it, or leave it out"
                ),
            );
        }
        if self.nesterov && self.momentum == 0.0 {
            return problem(
                "optimizer.nesterov",
                "has no effect without momentum; set optimizer.momentum, or leave it out".to_owned(),
            );
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return problem("optimizer.momentum", format!("must be at least 0 and below 1, not {}", self.momentum));
        }
        if let Some(clip) = self.clip_norm.filter(|clip| !clip.is_finite() || *clip <= 0.0) {
            return problem(
                "optimizer.clip_norm",
                format!("must be above 0, not {clip}; leave it out for no clipping"),
            );
        }
        self.validate_step_decay()
    }

    fn validate_step_decay(&self) -> Result<(), ConfigError> {
        let problem = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if self.schedule != RateSchedule::StepDecay {
            return match (self.milestones.is_empty(), self.step_size, self.gamma) {
                (true, None, None) => Ok(()),
                (false, ..) => problem("optimizer.milestones", "needs optimizer.schedule = \"step_decay\""),
                (_, Some(_), _) => problem("optimizer.step_size", "needs optimizer.schedule = \"step_decay\""),
                (_, _, Some(_)) => problem("optimizer.gamma", "needs optimizer.schedule = \"step_decay\""),
            };
        }
        match (self.milestones.is_empty(), self.step_size) {
            (true, None) => {
                return problem("optimizer.milestones", "or optimizer.step_size must say when the rate decays");
            }
            (false, Some(_)) => {
                return problem("optimizer.step_size", "and optimizer.milestones exclude each other: give one of them");
            }
            (true, Some(0)) => return problem("optimizer.step_size", "must be at least 1"),
            _ => {}
        }
        if self.milestones.first() == Some(&0) || !self.milestones.is_sorted_by(|earlier, later| earlier < later) {
            return problem("optimizer.milestones", "must be at least 1 and ascend, each named once");
        }
        if !(self.gamma() > 0.0 && self.gamma().is_finite()) {
            return problem("optimizer.gamma", "must be a finite number above 0");
        }
        Ok(())
    }

    /// Where a cosine ends.
    pub fn minimum_learning_rate(&self) -> f64 {
        const USUAL: f64 = 0.001;
        self.minimum_learning_rate.unwrap_or_else(|| self.learning_rate.min(USUAL))
    }

    /// Factor of a step decay; 0.1 unless given, as in PyTorch.
    pub fn gamma(&self) -> f64 {
        self.gamma.unwrap_or(0.1)
    }

    /// A constant rate in place of the schedule.
    pub fn hold_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
        self.schedule = RateSchedule::Constant;
        (self.milestones, self.step_size, self.gamma) = (Vec::new(), None, None);
    }

    pub fn sgd(&self) -> Sgd {
        Sgd {
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            nesterov: self.nesterov,
            clip_norm: self.clip_norm,
            unsampled: self.unsampled,
        }
    }
}
