//! The configuration of a run: plain data, resolved once, written into the run folder, and passed whole.

mod architecture;
mod child_order;
mod error;
mod evaluation;
mod load;
mod optimizer;
mod sections;

pub use architecture::ArchitectureConfig;
pub use child_order::ChildOrder;
pub use error::ConfigError;
pub use evaluation::{DERIVED, EvaluationConfig, InterferenceConfig, NormRegime};
pub use load::{built_in_names, from_table, from_text, load, load_search, read_table, search_from_text};
pub use optimizer::{OptimizerConfig, RateSchedule, ScheduleUnit};
pub use sections::{
    CheckpointConfig, DataConfig, DataOrder, MiniBatches, NetworkConfig, Precision, SeedConfig, StartConfig,
    StepChildren, StepConfig,
};

use crate::data::Augmentation;
use crate::network::Sharing;
use serde::{Deserialize, Serialize};

/// A whole run. Every key has a default but `name`, `network.space` and `data.source`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Names the run folder.
    pub name: String,
    /// Number type; `auto` as a device chooses the reference for `f64` and the CPU backend for `f32`.
    #[serde(default)]
    pub precision: Precision,
    /// Independent supernets that train side by side; replica r adds r to every seed.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Passes over the training images; give this or `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Updates; give this or `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    #[serde(default)]
    pub seed: SeedConfig,
    pub network: NetworkConfig,
    pub data: DataConfig,
    #[serde(default)]
    pub augmentation: Augmentation,
    #[serde(default)]
    pub step: StepConfig,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Of a search: the architecture parameters of a mixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<ArchitectureConfig>,
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    #[serde(default)]
    pub interference: InterferenceConfig,
    /// Where the run starts, if not from initial weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartConfig>,
}

/// Most steps or epochs: far above any run, and far below where their products leave 64 bits.
const MOST_STEPS: u64 = 1_000_000_000;

const fn one() -> u32 {
    1
}

impl RunConfig {
    /// The configuration as TOML, every key resolved.
    ///
    /// # Errors
    /// If a number does not fit into TOML (above 2^63).
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|cause| ConfigError::Write { cause: cause.to_string() })
    }

    /// Whether a step trains the mixture of all candidates, and with it the architecture parameters.
    pub fn is_search(&self) -> bool {
        self.step.children == StepChildren::Mixture
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the key and what it may be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problem = |key: &'static str, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        let named = !self.name.is_empty() && !self.name.contains(['/', '\\']) && !self.name.starts_with('.');
        if !named {
            return problem("name", "must be a plain file name: it names the run folder");
        }
        if self.replicas == 0 {
            return problem("replicas", "must be at least 1");
        }
        match (self.epochs, self.steps) {
            (Some(_), Some(_)) => return problem("steps", "and `epochs` exclude each other: give one of them"),
            (None, None) => return problem("epochs", "or `steps` must say how long to train"),
            (epochs, steps) if epochs.or(steps).is_some_and(|count| !(1..=MOST_STEPS).contains(&count)) => {
                return problem("epochs", "and `steps` must be at least 1 and at most 1000000000");
            }
            _ => {}
        }
        self.step.validate()?;
        self.optimizer.validate()?;
        architecture::validate(self)?;
        self.evaluation.validate()?;
        if let Some(norms) = &self.interference.norm {
            NormRegime::check("interference.norm", norms)?;
        }
        if self.network.children.is_some() && self.network.sharing == Sharing::All {
            let needed = "names children with copies of their own, but network.sharing = \"all\" gives none; leave it out, or set network.sharing";
            return problem("network.children", needed);
        }
        if self.checkpoint.every_steps == Some(0) {
            return problem(
                "checkpoint.every_steps",
                "must be at least 1; leave it out to write a checkpoint every epoch",
            );
        }
        Ok(())
    }
}
