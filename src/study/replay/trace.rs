//! The files of a trace, read and checked.

use super::child::held_child;
use super::config::{ALPHA_BATCHES, BATCHES, TraceConfig};
use super::evaluation::ExpectedEvaluation;
use super::part::ALPHAS;
use super::{Part, ReplayError};
use crate::data::BatchStream;
use crate::files::{CsvFile, FileError};
use crate::network::Tensors;
use crate::space::{AlphaTensor, Child, Space};
use crate::tensors::{Tensor, TensorFile, Values};
use crate::train::config::{DataOrder, Precision};
use crate::train::{Setup, TrainError, listed_batches};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What one step of the traced run recorded before its update.
pub struct ExpectedStep {
    /// None for a mixture.
    pub child: Option<String>,
    pub loss: f64,
    pub accuracy: f64,
    /// Of a search.
    pub alpha_loss: Option<f64>,
}

/// Raw gradients of some children at the initial weights.
pub struct ExpectedGradients {
    pub children: Vec<(Child, Tensors)>,
    /// The images, if they are not those of the first mini-batch.
    pub images: Option<Vec<u32>>,
}

/// A trace, ready to be replayed.
pub struct Trace {
    pub folder: PathBuf,
    pub setup: Arc<Setup>,
    pub steps: Vec<ExpectedStep>,
    /// Of a search: the architecture parameters before the first step and after every one.
    pub alphas: Vec<Tensors>,
    pub gradients: Option<ExpectedGradients>,
    pub last: Option<Tensors>,
    pub evaluation: ExpectedEvaluation,
}

impl Trace {
    /// Reads every part that is there.
    ///
    /// # Errors
    /// A missing or malformed file: names the file, its line and column or key, and what to do.
    pub fn read(folder: &Path) -> Result<Self, ReplayError> {
        let mut config = TraceConfig::read(folder)?;
        let space = config.run.network.load_space().map_err(TrainError::from)?;
        let table = folder.join("steps.csv");
        let steps = match config.run.is_search() {
            true => read_steps(&table, ["step", "child", "loss", "accuracy", "alpha_loss"], &space)?,
            false => read_steps(&table, ["step", "child", "loss", "accuracy"], &space)?,
        };
        if let Some(expected) = config.run.steps.filter(|expected| *expected != steps.len() as u64) {
            let problem = format!("is {expected}, but steps.csv has {} rows; make them the same", steps.len());
            return Err(config.key("steps", problem));
        }
        if !config.run.is_search() {
            config.set_children(steps.iter().filter_map(|step| step.child.clone()).collect());
        }
        let setup = Arc::new(Setup::new(config.run.clone())?);
        check_file_order(folder, &setup, steps.len())?;
        let alphas = if config.run.is_search() { read_alphas(folder, &setup, steps.len())? } else { Vec::new() };
        let last = folder.join("final.safetensors");
        let last = last.exists().then(|| TensorFile::read(&last)).transpose()?.map(|file| file.tensors);
        Ok(Self {
            gradients: read_gradients(&folder.join("gradients"), &setup)?,
            evaluation: ExpectedEvaluation::read(folder, &config, &setup)?,
            folder: folder.to_owned(),
            setup,
            steps,
            alphas,
            last,
        })
    }

    pub fn precision(&self) -> Precision {
        self.setup.config.precision
    }

    /// Whether the folder has this part.
    pub fn has(&self, part: Part) -> bool {
        match part {
            Part::Gradients => self.gradients.is_some(),
            Part::Steps => true,
            Part::Alphas => !self.alphas.is_empty(),
            Part::Final => self.last.is_some(),
            Part::Evaluation => !self.evaluation.rows.is_empty(),
            Part::Predictions => !self.evaluation.predictions.is_empty(),
        }
    }
}

/// `columns` are step, child, loss, accuracy, and of a search, whose children are empty, alpha_loss.
fn read_steps<const N: usize>(
    path: &Path,
    columns: [&'static str; N],
    space: &Space,
) -> Result<Vec<ExpectedStep>, ReplayError> {
    const ALPHA_LOSS: usize = 4;
    let file = CsvFile::read(path, columns)?;
    if file.is_empty() {
        let problem = "has no row; list every step of the run".to_owned();
        return Err(ReplayError::Content { path: path.to_owned(), problem });
    }
    let read = file.rows().zip(0_u64..).map(|(row, due)| {
        if row.count::<u64>(0)? != due {
            return Err(row
                .wrong(0, format!("stands where step {due} is due; list every step from 0 in order"))
                .into());
        }
        let child = row.text(1).to_owned();
        let (loss, accuracy) = (row.number(2)?, row.number(3)?);
        if columns.len() == ALPHA_LOSS {
            space.parse_child(&child).map_err(|cause| row.problem(cause.to_string()))?;
            return Ok(ExpectedStep { child: Some(child), loss, accuracy, alpha_loss: None });
        }
        if !child.is_empty() {
            return Err(row.wrong(1, "is a child, but a mixture trains them all; leave it empty".to_owned()).into());
        }
        Ok(ExpectedStep { child: None, loss, accuracy, alpha_loss: Some(row.number(ALPHA_LOSS)?) })
    });
    read.collect()
}

/// Mini-batches may be listed beside file order; then they must be those of file order, or one of the two is a mistake.
fn check_file_order(folder: &Path, setup: &Setup, steps: usize) -> Result<(), ReplayError> {
    let config = &setup.config;
    if config.data.order != DataOrder::File {
        return Ok(());
    }
    check_stream(folder, config.data.batches.as_deref(), BATCHES, setup.stream(0)?, steps)?;
    let of_alphas = config.architecture.as_ref().and_then(|options| options.batches.as_deref());
    let stream = setup.alpha_stream(0)?;
    stream.map_or(Ok(()), |stream| check_stream(folder, of_alphas, ALPHA_BATCHES, stream, steps))
}

/// Compares the mini-batches of a file, `given` or of the `usual` name, if it is there, with those of a stream.
fn check_stream(
    folder: &Path,
    given: Option<&Path>,
    usual: &str,
    mut stream: BatchStream,
    steps: usize,
) -> Result<(), ReplayError> {
    let path = folder.join(given.unwrap_or(Path::new(usual)));
    if given.is_none() && !path.exists() {
        return Ok(());
    }
    let listed = listed_batches(&path)?;
    for step in 0..steps {
        let due = stream.mini_batch(step as u64).map_err(TrainError::from)?.images;
        if listed.get(step) != Some(&due) {
            let problem = format!(
                "step {step} has other images than file order, which trace.toml names; set data.order = \"explicit\" to train \
                 these, or remove the file"
            );
            return Err(ReplayError::Content { path, problem });
        }
    }
    Ok(())
}

/// The architecture parameters before the first step and after every one, from tensors `[steps + 1, edges, candidates]`.
fn read_alphas(folder: &Path, setup: &Setup, steps: usize) -> Result<Vec<Tensors>, ReplayError> {
    let path = folder.join(ALPHAS);
    let stacked = TensorFile::read(&path)?.tensors;
    let wrong = |problem: String| ReplayError::Content { path: path.clone(), problem };
    let mut of_steps = vec![Tensors::new(); steps + 1];
    for AlphaTensor { name, slots, candidates } in setup.space().alpha_tensors() {
        let missing = || wrong(format!("lacks `{name}`; add the architecture parameters of every cell"));
        let tensor = stacked.get(&name).ok_or_else(missing)?;
        let (expected, shape) = (vec![steps + 1, slots.len(), candidates], vec![slots.len(), candidates]);
        if tensor.shape != expected {
            let found = tensor.shape_text();
            return Err(wrong(format!(
                "tensor `{name}` is {found}, but must be {expected:?}: [steps + 1, edges, candidates]"
            )));
        }
        let values: Vec<f64> = tensor.values.iter_f64().collect();
        for (tensors, values) in of_steps.iter_mut().zip(values.chunks(slots.len() * candidates)) {
            let tensor = Tensor { shape: shape.clone(), values: Values::F64(values.to_vec()) };
            tensors.insert(name.clone(), tensor);
        }
    }
    Ok(of_steps)
}

fn read_gradients(folder: &Path, setup: &Setup) -> Result<Option<ExpectedGradients>, ReplayError> {
    if !folder.exists() {
        return Ok(None);
    }
    let unreadable = |cause| FileError::new("read", folder, cause);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        let problem = "has no CHILD.safetensors; add one, or remove the folder".to_owned();
        return Err(ReplayError::Content { path: folder.to_owned(), problem });
    }
    let read = paths.iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let child = held_child(setup, &name);
        let child = child.map_err(|problem| ReplayError::Content { path: path.clone(), problem })?;
        let tensors = TensorFile::read(path)?.tensors;
        let unknown = tensors.keys().find(|name| !setup.model.network.is_trained(name));
        if let Some(name) = unknown {
            let problem = format!("`{name}` is no parameter of this network; name gradients as in init.safetensors");
            return Err(ReplayError::Content { path: path.clone(), problem });
        }
        Ok((child, tensors))
    });
    let children = read.collect::<Result<_, ReplayError>>()?;
    let batch = folder.join("batch.csv");
    let images = batch.exists().then(|| read_batch(&batch, setup)).transpose()?;
    Ok(Some(ExpectedGradients { children, images }))
}

/// The images of one mini-batch.
fn read_batch(path: &Path, setup: &Setup) -> Result<Vec<u32>, ReplayError> {
    let file = CsvFile::read(path, ["position", "image"])?;
    if file.is_empty() {
        let problem = "lists no image; list some, or remove the file to take the first mini-batch".to_owned();
        return Err(ReplayError::Content { path: path.to_owned(), problem });
    }
    let images = setup.dataset.len();
    let read = file.rows().zip(0_usize..).map(|(row, due)| {
        if row.count::<usize>(0)? != due {
            let problem = format!("stands where position {due} is due; list every position from 0 in order");
            return Err(row.wrong(0, problem).into());
        }
        let image: u32 = row.count(1)?;
        if image as usize >= images {
            let problem = format!("is no image of the data set; choose from 0 to {}", images - 1);
            return Err(row.wrong(1, problem).into());
        }
        Ok(image)
    });
    read.collect()
}
