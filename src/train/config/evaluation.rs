//! What is evaluated and measured, and under which statistics.

use super::ConfigError;
use serde::{Deserialize, Serialize};

/// In place of children: the one that architecture parameters make.
pub const DERIVED: &str = "derived";

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

    /// Checks that `norms`, given under `key`, names a regime, and none twice: it would be measured and recorded twice.
    ///
    /// # Errors
    /// Names the regime.
    pub fn check(key: &'static str, norms: &[Self]) -> Result<(), ConfigError> {
        if norms.is_empty() {
            let problem = "names no regime; choose from running, batch, recalibrated".to_owned();
            return Err(ConfigError::Value { key, problem });
        }
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
    /// `all`, `every:N`, `sample:N`, a list with commas, or in a search `derived`.
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
        NormRegime::check("evaluation.norm", &self.norm)
    }
}

/// The interference matrix measured when training ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterferenceConfig {
    /// As `evaluation.children`; not measured unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<String>,
    /// As `evaluation.norm`; those unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<Vec<NormRegime>>,
}
