//! What a run's folder says of a run.

use super::TrainError;
use super::checkpoint::Checkpoint;
use super::checkpoint_folder::newest_checkpoint;
use super::config::{RunConfig, from_text};
use crate::files::FileError;
use std::path::Path;

pub(super) const CONFIG: &str = "run.toml";
pub(super) const RESULT: &str = "result.toml";

/// The configuration of a run's folder.
///
/// # Errors
/// A folder without one, or one that does not parse.
pub fn run_config(folder: &Path) -> Result<RunConfig, TrainError> {
    let path = folder.join(CONFIG);
    if folder.is_dir() && !path.exists() {
        let problem =
            "holds no run.toml: it is no run folder, or its run was stopped before it began; start the run anew";
        return Err(TrainError::Checkpoint { path: folder.to_owned(), problem: problem.to_owned() });
    }
    let text = std::fs::read_to_string(&path).map_err(|cause| FileError::new("read", &path, cause))?;
    Ok(from_text(&text, &path.display().to_string(), &[])?)
}

/// What decided the bits of a run so far: the backend, instruction set and precision that its newest checkpoint records. `None`
/// where it was stopped before the first.
///
/// # Errors
/// A checkpoint that is damaged.
pub fn recorded_arithmetic(folder: &Path) -> Result<Option<String>, TrainError> {
    let newest = newest_checkpoint(folder)?;
    newest.map(|newest| Ok(Checkpoint::read(&newest, 0)?.arithmetic)).transpose()
}

/// Whether a run has ended.
pub fn has_ended(folder: &Path) -> bool {
    folder.join(RESULT).is_file()
}
