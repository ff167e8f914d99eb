//! `trace.toml`: a run's configuration, and two keys of the evaluation that only traces have.

use super::ReplayError;
use crate::data::Source;
use crate::files::FileError;
use crate::train::TrainError;
use crate::train::config::{
    ChildOrder, ConfigError, DataOrder, RunConfig, StartConfig, StepChildren, from_table, read_table,
};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Mini-batches of the weights, and of the architecture parameters.
pub const BATCHES: &str = "batches.csv";
pub const ALPHA_BATCHES: &str = "batches_alpha.csv";

/// With which weights children are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluatedWeights {
    /// `init.safetensors`.
    Init,
    /// `final.safetensors`.
    Final,
    /// Those that the replay ends with.
    Replayed,
}

/// `trace.toml`, read.
pub struct TraceConfig {
    pub path: PathBuf,
    /// Its children are still those of the file.
    pub run: RunConfig,
    pub images: Option<Range<u32>>,
    pub weights: Option<EvaluatedWeights>,
}

impl TraceConfig {
    /// Paths in the result are relative to where the program runs.
    pub fn read(folder: &Path) -> Result<Self, ReplayError> {
        let path = folder.join("trace.toml");
        let text = std::fs::read_to_string(&path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => ReplayError::NoTrace { path: folder.to_owned() },
            _ => FileError::new("read", &path, cause).into(),
        })?;
        let origin = path.display().to_string();
        let wrong = |cause: ConfigError| match cause {
            ConfigError::Syntax { .. } => TrainError::from(cause).into(),
            cause => ReplayError::Config { path: path.clone(), cause },
        };
        let mut table = read_table(&text, &origin).map_err(wrong)?;
        let images = take(&mut table, "images").map(|value| image_range(&path, &value)).transpose()?;
        let weights = take(&mut table, "weights").map(|value| evaluated_weights(&path, &value)).transpose()?;
        let run = from_table(table, &origin).map_err(wrong)?;
        let mut config = Self { path, run, images, weights };
        config.check()?;
        config.place_in(folder);
        Ok(config)
    }

    pub fn key(&self, key: &'static str, problem: impl Into<String>) -> ReplayError {
        ReplayError::Key { path: self.path.clone(), key, problem: problem.into() }
    }

    /// Refuses what only our own random draws decide, and what `steps.csv` cannot say.
    fn check(&self) -> Result<(), ReplayError> {
        let run = &self.run;
        let listed = "is drawn by crosstalk's own generator; choose \"file\", or \"explicit\" with a batches.csv";
        let problem = if run.data.order == DataOrder::Shuffled {
            Some(("data.order", listed))
        } else if !run.augmentation.is_off() {
            Some(("augmentation", "is drawn by crosstalk's own generator; leave it out and trace without"))
        } else if run.replicas != 1 {
            Some(("replicas", "must be 1: a trace has one supernet"))
        } else if run.step.lanes.is_some_and(|lanes| lanes != 1) || run.step.children == StepChildren::Fair {
            Some(("step", "trains several children a step, but steps.csv names one; trace one child a step"))
        } else if run.start.is_some() {
            Some(("start", "has no place in a trace, which starts from init.safetensors; leave it out"))
        } else {
            None
        };
        problem.map_or(Ok(()), |(key, problem)| Err(self.key(key, problem)))
    }

    fn place_in(&mut self, folder: &Path) {
        let run = &mut self.run;
        if run.data.order == DataOrder::Explicit {
            let file = run.data.batches.take().unwrap_or_else(|| BATCHES.into());
            run.data.batches = Some(folder.join(file));
            if run.is_search() {
                let options = run.architecture.get_or_insert_default();
                let file = options.batches.take().unwrap_or_else(|| ALPHA_BATCHES.into());
                options.batches = Some(folder.join(file));
            }
        }
        match &mut run.data.source {
            Source::Digits => {}
            Source::Cifar10(path) | Source::Idx(path) => *path = folder.join(&*path),
        }
        if Path::new(&run.network.space).extension().is_some_and(|extension| extension == "toml") {
            run.network.space = folder.join(&run.network.space).display().to_string();
        }
        run.start = Some(StartConfig { from: folder.join("init.safetensors"), step: 0, mini_batches: 0 });
    }

    /// Trains these children, one a step.
    pub fn set_children(&mut self, children: Vec<String>) {
        self.run.step.children = StepChildren::Cycle;
        self.run.step.order = ChildOrder::List(children);
    }
}

/// Takes a key out of `[evaluation]`.
fn take(table: &mut Table, key: &str) -> Option<Value> {
    table.get_mut("evaluation")?.as_table_mut()?.remove(key)
}

fn image_range(path: &Path, value: &Value) -> Result<Range<u32>, ReplayError> {
    let number = |value: &Value| value.as_integer().and_then(|number| u32::try_from(number).ok());
    let numbers: Option<Vec<u32>> = value.as_array().and_then(|values| values.iter().map(number).collect());
    match numbers.as_deref() {
        Some([first, end]) if first < end => Ok(*first..*end),
        _ => Err(ReplayError::Key {
            path: path.to_owned(),
            key: "evaluation.images",
            problem: format!("is {value}; write the first image and the one after the last, as in [1437, 1797]"),
        }),
    }
}

fn evaluated_weights(path: &Path, value: &Value) -> Result<EvaluatedWeights, ReplayError> {
    match value.as_str() {
        Some("init") => Ok(EvaluatedWeights::Init),
        Some("final") => Ok(EvaluatedWeights::Final),
        Some("replayed") => Ok(EvaluatedWeights::Replayed),
        _ => Err(ReplayError::Key {
            path: path.to_owned(),
            key: "evaluation.weights",
            problem: format!("is {value}; choose \"init\", \"final\" or \"replayed\""),
        }),
    }
}
