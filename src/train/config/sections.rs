//! The tables of a run's configuration.

use super::{ChildOrder, ConfigError};
use crate::backend::host::Reduce;
use crate::data::{Source, Split, Validation};
use crate::network::Sharing;
use crate::ops::sgd::{Sgd, Unsampled};
use crate::space::{Space, SpaceError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    F64,
}

/// `init`, `data` and `order` default to `base`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeedConfig {
    pub base: u64,
    /// Initial weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<u64>,
    /// Mini-batches, crops and flips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<u64>,
    /// Children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
}

impl SeedConfig {
    /// Seeds of a replica: (init, data, order).
    pub fn of(&self, replica: u32) -> [u64; 3] {
        [self.init, self.data, self.order].map(|seed| seed.unwrap_or(self.base).wrapping_add(u64::from(replica)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// A built-in space or the path of a space's file.
    pub space: String,
    /// C; the space's default unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The space's default unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// The data set's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    #[serde(default)]
    pub sharing: Sharing,
    /// Whether a child chooses anew in every cell, instead of once for all cells of a kind.
    #[serde(default)]
    pub untied_cells: bool,
    /// Whether candidates' convolutions before a normalization have a bias, as in AutoDL-Projects; the space's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convolution_bias: Option<bool>,
    /// Children that have copies of their own where the policy gives any; those of `step.order`, or all, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<String>>,
}

impl NetworkConfig {
    /// The space with the options of this table.
    ///
    /// # Errors
    /// As [`Space::load`].
    pub fn load_space(&self) -> Result<Space, SpaceError> {
        let mut space = Space::load(&self.space)?;
        space.convolution_bias = self.convolution_bias.unwrap_or(space.convolution_bias);
        let cells = self.cells.unwrap_or(space.defaults.cells);
        Ok(if self.untied_cells { space.untied(cells) } else { space })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataOrder {
    /// A new permutation each epoch.
    #[default]
    Shuffled,
    /// File order, wrapping at the end.
    File,
    /// As listed in `data.batches`.
    Explicit,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `digits`, `cifar10:PATH` or `idx:FOLDER`.
    pub source: Source,
    /// Blocks of so many by so many pixels become one, their mean; 1: images as they are.
    #[serde(default = "one")]
    pub shrink: usize,
    /// Pixel mean of each channel, as a fraction of 255; the data set's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// Pixel standard deviation of each channel, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
    #[serde(default)]
    pub validation: Validation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_images: Option<usize>,
    #[serde(default)]
    pub order: DataOrder,
    /// CSV file with columns step, position, image, for the explicit order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<PathBuf>,
    /// Images of a training mini-batch.
    #[serde(default = "default_batch")]
    pub batch: u32,
}

const fn one() -> usize {
    1
}

const fn default_batch() -> u32 {
    64
}

impl DataConfig {
    pub fn split(&self) -> Split {
        Split {
            validation: self.validation,
            train_images: self.train_images,
            evaluation_images: self.evaluation_images,
        }
    }
}

/// Which children a step trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepChildren {
    /// One after the other in `step.order`.
    #[default]
    Cycle,
    /// `step.lanes` children drawn uniformly.
    Uniform,
    /// As many children as candidates, drawn without replacement on every edge (FairNAS, arXiv 1907.01845).
    Fair,
}

/// Whether the lanes of a step see the same images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MiniBatches {
    #[default]
    Shared,
    Independent,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepConfig {
    pub children: StepChildren,
    pub order: ChildOrder,
    /// Children a step (K); 1 unless given, for `fair` always the number of candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
    /// Uniform draws: a node whose edges all took a zero candidate is drawn again (AutoDL-Projects' `forward_urs`).
    pub redraw_zero_nodes: bool,
    pub minibatch: MiniBatches,
    /// `mean` unless given; for `fair` `sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
}

/// Most lanes of a step.
const MOST_LANES: usize = 1 << 16;

impl StepConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let problem = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if self.lanes.is_some_and(|lanes| !(1..=MOST_LANES).contains(&lanes)) {
            return problem("step.lanes", "must be at least 1 and at most 65536");
        }
        if matches!(&self.order, ChildOrder::List(children) if children.is_empty()) {
            return problem("step.order", "is an empty list; name at least one child");
        }
        if self.children == StepChildren::Fair && (self.lanes.is_some() || self.order != ChildOrder::Lexicographic) {
            return problem("step.children", "= \"fair\" draws its own children; leave out step.lanes and step.order");
        }
        let uniform = self.children == StepChildren::Uniform && self.order == ChildOrder::Lexicographic;
        if self.redraw_zero_nodes && !uniform {
            return problem("step.redraw_zero_nodes", "needs draws from the whole space: step.children = \"uniform\"");
        }
        let shuffles = matches!(self.order, ChildOrder::Permutation | ChildOrder::Reshuffled);
        if self.children == StepChildren::Uniform && shuffles {
            return problem("step.order", "only orders a cycle; for uniform draws leave it out or list the children");
        }
        Ok(())
    }

    pub fn reduce(&self) -> Reduce {
        let usual = if self.children == StepChildren::Fair { Reduce::Sum } else { Reduce::Mean };
        self.reduce.unwrap_or(usual)
    }
}

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
    /// Where a cosine ends.
    pub minimum_learning_rate: f64,
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
            minimum_learning_rate: 0.001,
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
            ("optimizer.minimum_learning_rate", self.minimum_learning_rate),
            ("optimizer.weight_decay", self.weight_decay),
        ] {
            if !value.is_finite() || value < 0.0 {
                return problem(key, format!("must be a finite number of at least 0, not {value}"));
            }
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

/// Which statistics normalize in evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormRegime {
    Running,
    Batch,
    Recalibrated,
}

impl NormRegime {
    pub const ALL: [Self; 3] = [Self::Running, Self::Batch, Self::Recalibrated];

    /// Checks that `norms`, given under `key`, names no regime twice: it would be measured and recorded twice.
    ///
    /// # Errors
    /// Names the regime.
    pub fn check_distinct(key: &'static str, norms: &[Self]) -> Result<(), ConfigError> {
        match norms.iter().enumerate().find(|(index, norm)| norms[..*index].contains(norm)) {
            Some((_, norm)) => {
                let problem = format!("names the regime {} twice; name each once", norm.name());
                Err(ConfigError::Value { key, problem })
            }
            None => Ok(()),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Batch => "batch",
            Self::Recalibrated => "recalibrated",
        }
    }
}

impl std::str::FromStr for NormRegime {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|norm| norm.name() == text).ok_or_else(|| {
            format!("`{text}` is no regime of batch normalization; choose running, batch or recalibrated")
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// During training, after every so many steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// During training, after every so many epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_epochs: Option<u64>,
    /// Whether to evaluate when training ends.
    pub at_end: bool,
    /// `all`, `every:N` or a list with commas.
    pub children: String,
    pub norm: Vec<NormRegime>,
    /// Images of an evaluation mini-batch; the statistics of the `batch` regime are over these.
    pub batch: u32,
    /// Training mini-batches, unaugmented, over which `recalibrated` averages.
    pub recalibration_batches: u32,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every_steps: None,
            every_epochs: None,
            at_end: true,
            children: "all".to_owned(),
            norm: vec![NormRegime::Running],
            batch: 256,
            recalibration_batches: 16,
        }
    }
}

impl EvaluationConfig {
    /// Whether a run evaluates at all.
    pub fn wanted(&self) -> bool {
        self.at_end || self.every_steps.is_some() || self.every_epochs.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, zero) in [
            ("evaluation.every_steps", self.every_steps == Some(0)),
            ("evaluation.every_epochs", self.every_epochs == Some(0)),
            ("evaluation.batch", self.batch == 0),
            ("evaluation.recalibration_batches", self.recalibration_batches == 0),
        ] {
            if zero {
                return Err(ConfigError::Value { key, problem: "must be at least 1".to_owned() });
            }
        }
        if self.norm.is_empty() {
            let problem = "names no regime; choose from running, batch, recalibrated".to_owned();
            return Err(ConfigError::Value { key: "evaluation.norm", problem });
        }
        NormRegime::check_distinct("evaluation.norm", &self.norm)
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// The last one stays; one is always written when training ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// Keeps every checkpoint instead of the last.
    pub keep_all: bool,
}

/// The interference matrix measured when training ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterferenceConfig {
    /// As `evaluation.children`; not measured unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub norm: Vec<NormRegime>,
}

/// A run that goes on from somewhere else than initial weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// A checkpoint of ours or a `.safetensors` file with official names.
    pub from: PathBuf,
    /// Steps and mini-batches done before; the data stream goes on from here.
    #[serde(default)]
    pub step: u64,
    #[serde(default)]
    pub mini_batches: u64,
}
