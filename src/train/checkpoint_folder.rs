//! The folders of a run's checkpoints, named by their steps, with a file a replica.

use super::TrainError;
use crate::files::FileError;
use std::path::{Path, PathBuf};

const FOLDER: &str = "checkpoints";

/// A checkpoint that is being written: it is there whole or not at all.
pub struct UnfinishedFolder {
    parent: PathBuf,
    partial: PathBuf,
    folder: PathBuf,
}

impl UnfinishedFolder {
    /// # Errors
    /// Names the folder that cannot be made.
    pub fn create(run: &Path, step: u64) -> Result<Self, FileError> {
        let parent = run.join(FOLDER);
        create_folder(&parent)?;
        let name = format!("step-{step:08}");
        let (partial, folder) = (parent.join(format!(".{name}.partial")), parent.join(&name));
        remove_folder(&partial)?;
        create_folder(&partial)?;
        Ok(Self { parent, partial, folder })
    }

    pub fn file(&self, replica: usize) -> PathBuf {
        self.partial.join(file_name(replica))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// Names the folder that cannot be written.
    pub fn finish(self) -> Result<PathBuf, TrainError> {
        let Self { parent, partial, folder } = self;
        // The same step may have been written by a run that was killed before it recorded so.
        remove_folder(&folder)?;
        std::fs::rename(&partial, &folder).map_err(|cause| FileError::new("write", &folder, cause))?;
        let synced = std::fs::File::open(&parent).and_then(|parent| parent.sync_all());
        synced.map_err(|cause| FileError::new("write", &parent, cause))?;
        Ok(folder)
    }
}

/// Removes every checkpoint of a run but the newest, and what a killed run left unfinished. Anything else in the folder stays.
///
/// # Errors
/// Names the folder that cannot be read or removed.
pub fn keep_newest(run: &Path) -> Result<(), TrainError> {
    let parent = run.join(FOLDER);
    let newest = newest_checkpoint(run)?;
    for entry in std::fs::read_dir(&parent).map_err(|cause| FileError::new("read", &parent, cause))? {
        let entry = entry.map_err(|cause| FileError::new("read", &parent, cause))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ours = step_of(&name).is_some() || (name.starts_with(".step-") && name.ends_with(".partial"));
        if ours && Some(&path) != newest.as_ref() {
            remove_folder(&path)?;
        }
    }
    Ok(())
}

/// The step of a checkpoint's folder.
fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

/// The folder of a run's newest checkpoint, if it has one.
///
/// # Errors
/// Names the folder that cannot be read.
pub fn newest_checkpoint(run: &Path) -> Result<Option<PathBuf>, TrainError> {
    let parent = run.join(FOLDER);
    if !parent.is_dir() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(&parent).map_err(|cause| FileError::new("read", &parent, cause))?;
    let steps = entries.flatten().filter_map(|entry| Some((step_of(entry.file_name().to_str()?)?, entry.path())));
    Ok(steps.max().map(|(_, path)| path))
}

fn file_name(replica: usize) -> String {
    format!("replica-{replica}.safetensors")
}

fn create_folder(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(|cause| FileError::new("create", path, cause))
}

fn remove_folder(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(FileError::new("remove", path, cause)),
        _ => Ok(()),
    }
}

/// The file that a path means: a run's newest checkpoint, a checkpoint's folder, or the file itself.
pub fn resolve(path: &Path, replica: u32) -> Result<PathBuf, TrainError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let folder = if path.join(file_name(0)).is_file() { Some(path.to_owned()) } else { newest_checkpoint(path)? };
    let folder = folder.ok_or_else(|| TrainError::Checkpoint {
        path: path.to_owned(),
        problem: "has no checkpoint; name a run folder, a checkpoint folder or a .safetensors file".to_owned(),
    })?;
    let file = folder.join(file_name(replica as usize));
    let replicas = (0..).take_while(|replica| folder.join(file_name(*replica)).is_file()).count();
    if replicas > 0 && !file.is_file() {
        let problem = format!("has no replica {replica}; it has {replicas}, counted from 0");
        return Err(TrainError::Checkpoint { path: folder, problem });
    }
    Ok(file)
}
