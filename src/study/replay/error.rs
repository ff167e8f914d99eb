//! What can be wrong with a trace.

use super::Part;
use crate::files::{CsvError, FileError};
use crate::tensors::TensorError;
use crate::train::TrainError;
use crate::train::config::ConfigError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Train(Box<TrainError>),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error("{}: {cause}", path.display())]
    Config { path: PathBuf, cause: ConfigError },
    #[error("{}: `{key}` {problem}", path.display())]
    Key { path: PathBuf, key: &'static str, problem: String },
    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
    #[error("{} is no trace: it has no trace.toml; name the folder of a trace", path.display())]
    NoTrace { path: PathBuf },
    #[error("the trace {} has no {} to compare; add it, or leave {part} out of --only", path.display(), part.file())]
    NoPart { path: PathBuf, part: Part },
}

impl From<TrainError> for ReplayError {
    fn from(cause: TrainError) -> Self {
        Self::Train(Box::new(cause))
    }
}
