//! The tables of a run's configuration.

use super::{ChildOrder, ConfigError};
use crate::backend::Reduce;
use crate::data::{Source, Split, Validation};
use crate::network::Sharing;
use crate::space::{Space, SpaceError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    /// Feature maps and operands of products are rounded to bf16; on GPUs only.
    Bf16,
    F64,
}

impl Precision {
    /// Bytes of a stored number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
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
    /// Whether the normalizations of cells have a learned scale and shift; the space's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affine: Option<bool>,
    /// Whether the normalizations of cells keep running statistics; the space's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_running_stats: Option<bool>,
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
        let cell = &mut space.normalization.cell;
        cell.affine = self.affine.unwrap_or(cell.affine);
        cell.tracked = self.track_running_stats.unwrap_or(cell.tracked);
        let cells = self.cells(&space);
        Ok(if self.untied_cells { space.untied(cells) } else { space })
    }

    pub fn channels(&self, space: &Space) -> usize {
        self.channels.unwrap_or(space.defaults.channels)
    }

    pub fn cells(&self, space: &Space) -> usize {
        self.cells.unwrap_or(space.defaults.cells)
    }

    /// Fills in what the space decides where nothing is given. Returns the space.
    ///
    /// # Errors
    /// As [`Space::load`].
    pub fn resolve(&mut self) -> Result<Space, SpaceError> {
        let space = self.load_space()?;
        let cell = &space.normalization.cell;
        (self.affine, self.track_running_stats) = (Some(cell.affine), Some(cell.tracked));
        self.convolution_bias = Some(space.convolution_bias);
        (self.channels, self.cells) = (Some(self.channels(&space)), Some(self.cells(&space)));
        Ok(space)
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
    /// Every candidate of every edge, weighted by its gate: the softmax of architecture parameters, which step too (DARTS, arXiv 1806.09055).
    Mixture,
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

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// An epoch's unless given; one is always written when training ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// Keeps every checkpoint instead of the last.
    pub keep_all: bool,
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
