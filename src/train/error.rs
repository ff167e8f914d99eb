//! What can go wrong in a run.

use crate::data::DataError;
use crate::device::DeviceError;
use crate::files::{CsvError, FileError};
use crate::network::{ExchangeError, NetworkError};
use crate::records::RecordError;
use crate::search::AlphaError;
use crate::space::{ChildError, SpaceError};
use crate::tensors::TensorError;
use crate::train::config::ConfigError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error("{}: {cause}", path.display())]
    Weights { path: PathBuf, cause: ExchangeError },
    #[error("{}: {cause}", path.display())]
    Alphas { path: PathBuf, cause: AlphaError },
    #[error("{}: {problem}", path.display())]
    Checkpoint { path: PathBuf, problem: String },
    #[error("{}: {problem}", path.display())]
    Batches { path: PathBuf, problem: String },
    #[error(
        "step {step}: the loss of {trained} (replica {replica}) is {loss}; lower optimizer.learning_rate (in a search, \
         architecture.learning_rate too) or set optimizer.clip_norm. Everything recorded before this step is kept"
    )]
    Loss { step: u64, trained: String, replica: u32, loss: f64 },
    #[error(
        "`architecture.portion` = {portion} leaves the weights or the architecture parameters none of {images} images; move it towards 0.5"
    )]
    Portion { portion: f64, images: usize },
    #[error("the data set has {found} classes, but network.classes = {classes}; raise it or leave it out")]
    Classes { found: usize, classes: usize },
    #[error(
        "`data.batch` is {batch}, but only {images} images are trained on, each once an epoch; set at most {images}"
    )]
    Batch { batch: u32, images: usize },
    #[error(
        "the weights and momentum of {replicas} replica(s) take {needed} MiB of memory, but {available} MiB are free; lower \
         network.channels, network.cells or replicas, or give children fewer copies of their own (network.sharing)"
    )]
    Memory { replicas: u32, needed: u128, available: u128 },
    #[error("the plan takes {planned} MiB of memory, but {available} MiB are available; {remedy}")]
    Plan { planned: usize, available: usize, remedy: &'static str },
    #[error(
        "the plan takes {planned} MiB of the GPU's memory ({parts}), but {available} of {total} MiB are available, {taken} MiB are held by \
         the driver or other processes; {remedy}"
    )]
    DevicePlan { planned: usize, parts: String, available: usize, total: usize, taken: usize, remedy: &'static str },
    #[error("`{key}` has {found} numbers, but the images have {channels} channels; give one number a channel")]
    Pixels { key: &'static str, found: usize, channels: usize },
    #[error(
        "fair sampling needs the same number of candidates on every edge, but this space has {counts:?}; use uniform"
    )]
    UnevenCandidates { counts: Vec<usize> },
    #[error("{what} would list {count} children, more than {most}; list the children in step.order")]
    TooManyChildren { what: &'static str, count: u128, most: u128 },
    #[error(
        "`{key}` asks for children that this run does not train: child {child} has no private copy; name only trained ones there"
    )]
    NotHeld { key: &'static str, child: String },
    #[error(
        "the steps train child {child}, but network.children does not list it; add it, or leave it out of step.order"
    )]
    NotListed { child: String },
    #[error(
        "a mini-batch of one image and feature maps of one pixel leave nothing to normalize over; raise data.batch"
    )]
    OneValue,
}

impl TrainError {
    /// The file or folder that could not be read or written, if that is what went wrong.
    pub fn file(&self) -> Option<&FileError> {
        match self {
            Self::File(error) | Self::Record(RecordError::File(error)) | Self::Tensor(TensorError::File(error)) => {
                Some(error)
            }
            _ => None,
        }
    }
}
