//! Reading a trace folder: `trace.toml`, `init.safetensors`, `steps.csv`, and what else it holds.

use crate::tensors::{TensorError, TensorFile};
use crate::train::config::{ChildOrder, ConfigError, DataOrder, RunConfig, StartConfig, StepChildren, from_text};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("{}: cannot be read: {cause}; a trace folder holds trace.toml, init.safetensors and steps.csv", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// A step before its update.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceStep {
    pub step: u64,
    pub child: String,
    pub loss: f64,
    pub accuracy: f64,
}

/// A child on the evaluation images.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceEvaluation {
    pub child: String,
    pub norm: String,
    pub loss: f64,
    pub correct: u32,
}

/// Which weights were evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceWeights {
    Init,
    Final,
    /// Those with which the replay ends.
    #[default]
    Replayed,
}

/// A trace, read.
pub struct Trace {
    pub folder: PathBuf,
    pub config: RunConfig,
    pub steps: Vec<TraceStep>,
    /// Raw gradients at the initial weights, by child.
    pub gradients: BTreeMap<String, TensorFile>,
    /// Images of the gradients, where they are not those of the first mini-batch.
    pub gradient_images: Option<Vec<u32>>,
    pub last: Option<TensorFile>,
    pub evaluations: Vec<TraceEvaluation>,
    pub evaluated_weights: TraceWeights,
    /// First and end of the evaluated images, counted over the whole data set.
    pub evaluated_images: Option<[u32; 2]>,
    /// By `child/norm`.
    pub predictions: Option<TensorFile>,
}

impl Trace {
    /// # Errors
    /// Names the file at fault and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, TraceError> {
        let path = folder.join("trace.toml");
        let text = std::fs::read_to_string(&path).map_err(|cause| TraceError::Read { path: path.clone(), cause })?;
        let content = |path: &Path, problem: String| TraceError::Content { path: path.to_owned(), problem };
        let mut table: Table = toml::from_str(&text).map_err(|cause| content(&path, cause.message().to_owned()))?;
        let (mut weights, mut images) = (None, None);
        if let Some(Value::Table(evaluation)) = table.get_mut("evaluation") {
            (weights, images) = (evaluation.remove("weights"), evaluation.remove("images"));
        }
        let wrong =
            |key: &str, cause: toml::de::Error| content(&path, format!("evaluation.{key}: {}", cause.message()));
        let evaluated_weights =
            weights.map_or(Ok(TraceWeights::default()), Value::try_into).map_err(|cause| wrong("weights", cause))?;
        let evaluated_images = images.map(Value::try_into).transpose().map_err(|cause| wrong("images", cause))?;
        let text = toml::to_string(&table).map_err(|cause| content(&path, cause.to_string()))?;
        let mut config = from_text(&text, &path.display().to_string(), &[])?;

        let steps: Vec<TraceStep> = rows(&folder.join("steps.csv"))?;
        if let Some((expected, row)) = steps.iter().enumerate().find(|(expected, row)| row.step != *expected as u64) {
            let problem = format!("step {} stands where step {expected} belongs; list every step from 0", row.step);
            return Err(content(&folder.join("steps.csv"), problem));
        }
        if steps.is_empty() {
            return Err(content(&folder.join("steps.csv"), "lists no step; record at least one".to_owned()));
        }
        config.epochs = None;
        config.steps = Some(steps.len() as u64);
        config.step.children = StepChildren::Cycle;
        config.step.order = ChildOrder::List(steps.iter().map(|step| step.child.clone()).collect());
        config.start = Some(StartConfig { from: folder.join("init.safetensors"), step: 0, mini_batches: 0 });
        if config.data.order == DataOrder::Explicit {
            let batches = config.data.batches.take().unwrap_or_else(|| PathBuf::from("batches.csv"));
            config.data.batches = Some(folder.join(batches));
        }
        let optional = |name: &str| {
            let path = folder.join(name);
            path.is_file().then(|| TensorFile::read(&path)).transpose()
        };
        let evaluations = folder.join("eval.csv");
        Ok(Self {
            config,
            steps,
            gradients: gradients(&folder.join("gradients"))?,
            gradient_images: gradient_images(&folder.join("gradients").join("batch.csv"))?,
            last: optional("final.safetensors")?,
            evaluations: if evaluations.is_file() { rows(&evaluations)? } else { Vec::new() },
            evaluated_weights,
            evaluated_images,
            predictions: optional("predictions.safetensors")?,
            folder: folder.to_owned(),
        })
    }
}

/// Rows of a CSV file by the names of its columns.
fn rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>, TraceError> {
    let problem = |cause: csv::Error| TraceError::Content { path: path.to_owned(), problem: cause.to_string() };
    csv::Reader::from_path(path).map_err(problem)?.into_deserialize().collect::<Result<_, _>>().map_err(problem)
}

fn gradients(folder: &Path) -> Result<BTreeMap<String, TensorFile>, TraceError> {
    let mut gradients = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(gradients);
    }
    let failed = |cause| TraceError::Read { path: folder.to_owned(), cause };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let child = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            gradients.insert(child, TensorFile::read(&path)?);
        }
    }
    Ok(gradients)
}

fn gradient_images(path: &Path) -> Result<Option<Vec<u32>>, TraceError> {
    #[derive(Deserialize)]
    struct Row {
        position: usize,
        image: u32,
    }
    if !path.is_file() {
        return Ok(None);
    }
    let mut listed: Vec<Row> = rows(path)?;
    listed.sort_by_key(|row| row.position);
    match listed.iter().enumerate().find(|(place, row)| row.position != *place) {
        Some((place, _)) => {
            let problem = format!("position {place} is missing; list every position from 0");
            Err(TraceError::Content { path: path.to_owned(), problem })
        }
        None => Ok(Some(listed.into_iter().map(|row| row.image).collect())),
    }
}
