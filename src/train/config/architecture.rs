//! The architecture parameters of a mixture, and what a mixture rules out.

use super::{ChildOrder, ConfigError, DERIVED, RunConfig};
use crate::network::Sharing;
use crate::ops::adam::Adam;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toml::{Table, Value};

/// Added to the root of Adam's second moment: PyTorch's default, which DARTS takes.
const EPSILON: f64 = 1e-8;

/// Largest norm of the weights' gradient in DARTS.
const CLIP_NORM: f64 = 5.0;

/// First-order DARTS (arXiv 1806.09055) with its defaults: Adam on the architecture parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchitectureConfig {
    pub learning_rate: f64,
    /// Decays of Adam's first and second moment.
    pub betas: [f64; 2],
    pub weight_decay: f64,
    /// Share of the training images, from the first on, that train the weights; the architecture parameters step on the others.
    pub portion: f64,
    /// Of `data.order = "explicit"`: CSV file with columns step, position, image, for the architecture parameters. Either file may then name any
    /// training image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<PathBuf>,
}

impl Default for ArchitectureConfig {
    fn default() -> Self {
        Self { learning_rate: 3e-4, betas: [0.5, 0.999], weight_decay: 1e-3, portion: 0.5, batches: None }
    }
}

impl ArchitectureConfig {
    pub fn adam(&self) -> Adam {
        let [first_decay, second_decay] = self.betas;
        Adam { first_decay, second_decay, epsilon: EPSILON, weight_decay: self.weight_decay }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let problem = |key, problem: String| Err(ConfigError::Value { key, problem });
        for (key, value) in
            [("architecture.learning_rate", self.learning_rate), ("architecture.weight_decay", self.weight_decay)]
        {
            if !value.is_finite() || value < 0.0 {
                return problem(key, format!("must be a finite number of at least 0, not {value}"));
            }
        }
        if let Some(beta) = self.betas.iter().find(|beta| !(0.0..1.0).contains(*beta)) {
            return problem("architecture.betas", format!("must be at least 0 and below 1, not {beta}"));
        }
        if !(self.portion > 0.0 && self.portion < 1.0) {
            return problem("architecture.portion", format!("must be above 0 and below 1, not {}", self.portion));
        }
        Ok(())
    }
}

/// Turns the configuration of a run over children into that of a search over the same network and data: the mixture, the clipping of DARTS unless
/// another is given, the derived child evaluated at the end, no interference. One of a search stays as it is.
pub(super) fn make_search(table: &mut Table) {
    let text = |text: &str| Value::String(text.to_owned());
    let mixture = text("mixture");
    if table.get("step").and_then(|step| step.get("children")) == Some(&mixture) {
        return;
    }
    table.insert("step".to_owned(), Value::Table(Table::from_iter([("children".to_owned(), mixture)])));
    table.remove("interference");
    if let Some(optimizer) = section(table, "optimizer") {
        optimizer.entry("clip_norm").or_insert(Value::Float(CLIP_NORM));
    }
    if let Some(evaluation) = section(table, "evaluation") {
        evaluation.insert("children".to_owned(), text(DERIVED));
        evaluation.insert("at_end".to_owned(), Value::Boolean(true));
        for key in ["every_steps", "every_epochs"] {
            evaluation.remove(key);
        }
    }
    if let Some(Value::String(name)) = table.get_mut("name") {
        name.push_str("-darts");
    }
}

/// A table in a table, made unless it is there; `None` where something else is.
fn section<'a>(table: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    table.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
}

/// Checks the architecture parameters, and that a run that has some leaves children to them.
pub(super) fn validate(config: &RunConfig) -> Result<(), ConfigError> {
    let problem = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
    if !config.is_search() {
        if config.architecture.is_some() {
            return problem("architecture", "is for a search: set step.children = \"mixture\", or leave it out");
        }
        if config.evaluation.children == DERIVED {
            let needed =
                "= \"derived\" is the child that a search makes: set step.children = \"mixture\", or name children";
            return problem("evaluation.children", needed);
        }
        return Ok(());
    }
    let step = &config.step;
    if step.lanes.is_some_and(|lanes| lanes != 1) || step.order != ChildOrder::Lexicographic || step.redraw_zero_nodes {
        let all = "= \"mixture\" trains all candidates in one lane; leave out step.lanes, step.order and step.redraw_zero_nodes";
        return problem("step.children", all);
    }
    if config.network.sharing != Sharing::All {
        return problem("network.sharing", "must be \"all\" for a mixture: it is of all children");
    }
    config.architecture.iter().try_for_each(ArchitectureConfig::validate)
}
