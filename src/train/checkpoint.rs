//! Checkpoints: one `.safetensors` file a replica, in a folder named by the step.

use super::config::{RunConfig, from_text};
use super::{Setup, TrainError};
use crate::device::DeviceError;
use crate::files::FileError;
use crate::network::{
    MOMENTUM, Model, State, Tensors, export_momentum, export_parameters, import_parameters, is_alpha,
};
use crate::search::{Alphas, export_alphas, import_alphas};
use crate::space::Space;
use crate::tensor::Real;
use crate::tensors::TensorFile;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

const FORMAT: &str = "crosstalk checkpoint 1";
const FOLDER: &str = "checkpoints";

/// Where a run stands, beside the tensors.
#[derive(Clone, Debug)]
pub struct Position {
    pub step: u64,
    pub mini_batches: u64,
    /// Rate of the last step done.
    pub learning_rate: Option<f64>,
    /// What decides the bits.
    pub arithmetic: String,
    /// Rows of the run's journals.
    pub step_rows: u64,
    pub accuracy_rows: u64,
    /// None outside a search.
    pub alpha_rows: u64,
}

/// What a checkpoint holds of a replica.
pub struct Snapshot<'a, T: Clone> {
    pub state: Cow<'a, State<T>>,
    /// Of a search.
    pub alphas: Option<&'a Alphas>,
}

impl<T: Real> Snapshot<'_, T> {
    /// Hash of everything that training changes.
    pub fn hash(&self, model: &Model) -> blake3::Hash {
        let state = self.state.hash(model);
        let Some(alphas) = self.alphas else { return state };
        let mut hasher = blake3::Hasher::new();
        hasher.update(state.as_bytes());
        alphas.hash_into(&mut hasher);
        hasher.finalize()
    }
}

/// One replica's checkpoint, read.
pub struct Checkpoint {
    pub path: PathBuf,
    pub config: RunConfig,
    pub replica: u32,
    pub step: u64,
    pub mini_batches: u64,
    pub learning_rate: Option<f64>,
    pub arithmetic: String,
    pub step_rows: u64,
    pub accuracy_rows: u64,
    pub alpha_rows: u64,
    tensors: Tensors,
    state_hash: String,
    /// Digest of its space.
    space: String,
}

/// The state that tensors describe; `path` names their file in errors.
fn import<T: Real>(model: &Model, tensors: &Tensors, path: &Path) -> Result<State<T>, TrainError> {
    let mut state = State::zeroed(model);
    import_parameters(model, tensors, &mut state)
        .map_err(|cause| TrainError::Weights { path: path.to_owned(), cause })?;
    Ok(state)
}

/// Writes the checkpoint of all replicas; it is there whole or not at all. Returns its folder.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write<'a, T: Real>(
    run: &Path,
    setup: &Setup,
    position: &Position,
    replicas: impl Iterator<Item = Result<Snapshot<'a, T>, DeviceError>>,
) -> Result<PathBuf, TrainError> {
    let parent = run.join(FOLDER);
    create_folder(&parent)?;
    let name = format!("step-{:08}", position.step);
    let (partial, folder) = (parent.join(format!(".{name}.partial")), parent.join(&name));
    remove_folder(&partial)?;
    create_folder(&partial)?;
    for (replica, snapshot) in replicas.enumerate() {
        let snapshot = snapshot?;
        let mut tensors = export_parameters(&setup.model, &snapshot.state);
        tensors.extend(export_momentum(&setup.model, &snapshot.state));
        tensors.extend(snapshot.alphas.map_or_else(Tensors::new, |alphas| export_alphas(setup.space(), alphas)));
        let metadata = [
            ("format", FORMAT.to_owned()),
            ("config", setup.config.to_toml()?),
            ("space", setup.space().digest()),
            ("replica", replica.to_string()),
            ("step", position.step.to_string()),
            ("mini_batches", position.mini_batches.to_string()),
            ("learning_rate", position.learning_rate.map_or_else(String::new, |rate| rate.to_string())),
            ("arithmetic", position.arithmetic.clone()),
            ("step_rows", position.step_rows.to_string()),
            ("accuracy_rows", position.accuracy_rows.to_string()),
            ("alpha_rows", position.alpha_rows.to_string()),
            ("state_hash", snapshot.hash(&setup.model).to_string()),
        ];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        TensorFile { metadata, tensors }.write(&partial.join(file_name(replica)))?;
    }
    // The same step may have been written by a run that was killed before it recorded so.
    remove_folder(&folder)?;
    std::fs::rename(&partial, &folder).map_err(|cause| FileError::new("write", &folder, cause))?;
    let synced = std::fs::File::open(&parent).and_then(|parent| parent.sync_all());
    synced.map_err(|cause| FileError::new("write", &parent, cause))?;
    Ok(folder)
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
fn resolve(path: &Path, replica: u32) -> Result<PathBuf, TrainError> {
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

/// Reads weights and buffers, and with `momentum` the optimizer's memory, of one of our checkpoints or of any file with official
/// names. A checkpoint of ours is checked against its recorded hash where the model has the copies that it holds.
///
/// # Errors
/// A file that is not there, is damaged or was changed, tensors that do not fit.
pub fn read_weights<T: Real>(model: &Model, path: &Path, momentum: bool) -> Result<State<T>, TrainError> {
    let path = resolve(path, 0)?;
    let file = TensorFile::read(&path)?;
    let mut tensors = if is_checkpoint(&file) {
        let checkpoint = Checkpoint::from_file(path.clone(), file)?;
        if checkpoint.has_copies_of(model) {
            checkpoint.check_hash(model)?;
        }
        checkpoint.tensors
    } else {
        file.tensors
    };
    if !momentum {
        tensors.retain(|name, _| !name.starts_with(MOMENTUM));
    }
    import(model, &tensors, &path)
}

/// The architecture parameters that a file holds, of ours or of others, with `memory` what Adam remembers of them too; `None` where it has none.
///
/// # Errors
/// A file that is not there or is damaged, architecture parameters that do not fit.
pub fn read_alphas(model: &Model, path: &Path, memory: bool) -> Result<Option<Alphas>, TrainError> {
    let path = resolve(path, 0)?;
    let tensors = TensorFile::read(&path)?.tensors;
    import_alphas(&model.network.space, &tensors, memory).map_err(|cause| TrainError::Alphas { path, cause })
}

/// Whether this program wrote the file as a checkpoint.
fn is_checkpoint(file: &TensorFile) -> bool {
    file.metadata.get("format").map(String::as_str) == Some(FORMAT)
}

impl Checkpoint {
    /// Reads one replica's checkpoint. `path` is a run folder (its newest checkpoint), a checkpoint's folder, or the file.
    ///
    /// # Errors
    /// No checkpoint there, a damaged file, a file that is none of ours.
    pub fn read(path: &Path, replica: u32) -> Result<Self, TrainError> {
        let path = resolve(path, replica)?;
        let file = TensorFile::read(&path)?;
        if !is_checkpoint(&file) {
            let problem =
                "is not a checkpoint of this program; start from its weights with a preset and --from".to_owned();
            return Err(TrainError::Checkpoint { path, problem });
        }
        Self::from_file(path, file)
    }

    fn from_file(path: PathBuf, file: TensorFile) -> Result<Self, TrainError> {
        let TensorFile { metadata, tensors } = file;
        let problem = |problem: String| TrainError::Checkpoint { path: path.clone(), problem };
        let text = |key: &str| metadata.get(key).ok_or_else(|| problem(format!("lacks `{key}`; the file is damaged")));
        let number = |key: &str| {
            text(key)?.parse::<u64>().map_err(|_| problem(format!("has no number in `{key}`; the file is damaged")))
        };
        Ok(Self {
            config: from_text(text("config")?, &path.display().to_string(), &[])?,
            replica: number("replica")? as u32,
            step: number("step")?,
            mini_batches: number("mini_batches")?,
            learning_rate: text("learning_rate")?.parse().ok(),
            arithmetic: text("arithmetic")?.clone(),
            step_rows: number("step_rows")?,
            accuracy_rows: number("accuracy_rows")?,
            alpha_rows: number("alpha_rows")?,
            state_hash: text("state_hash")?.clone(),
            space: text("space")?.clone(),
            tensors,
            path,
        })
    }

    /// The state, checked against the recorded hash.
    ///
    /// # Errors
    /// Tensors that do not fit the model or were changed, and a space that is defined otherwise than when it was written.
    pub fn state<T: Real>(&self, model: &Model) -> Result<State<T>, TrainError> {
        let space = &model.network.space;
        if space.digest() != self.space {
            let problem = format!(
                "was written with another definition of the space {}; bring back its file as it was, or start from these weights with a preset or file and --from",
                space.name
            );
            return Err(TrainError::Checkpoint { path: self.path.clone(), problem });
        }
        self.check_hash(model)?;
        import(model, &self.tensors, &self.path)
    }

    /// The architecture parameters of a search.
    ///
    /// # Errors
    /// Tensors that do not fit the space.
    pub fn alphas(&self, space: &Space) -> Result<Option<Alphas>, TrainError> {
        let wrong = |cause| TrainError::Alphas { path: self.path.clone(), cause };
        let searched = self.config.is_search();
        Ok(searched.then(|| import_alphas(space, &self.tensors, true).map_err(wrong)).transpose()?.flatten())
    }

    /// Whether the copies of a model's parameters are those that are stored here: only then does the recorded hash say something
    /// of the model's state.
    fn has_copies_of(&self, model: &Model) -> bool {
        let space = &model.network.space;
        let stored = self.tensors.keys().filter(|name| !name.starts_with(MOMENTUM) && !is_alpha(space, name));
        stored.eq(export_parameters(model, &State::<f32>::zeroed(model)).keys())
    }

    fn hash<T: Real>(&self, model: &Model) -> Result<blake3::Hash, TrainError> {
        let state: State<T> = import(model, &self.tensors, &self.path)?;
        let alphas = self.alphas(&model.network.space)?;
        Ok(Snapshot { state: Cow::Borrowed(&state), alphas: alphas.as_ref() }.hash(model))
    }

    /// Compares the hash of the state, in the precision that it was written in, with the recorded one.
    fn check_hash(&self, model: &Model) -> Result<(), TrainError> {
        let hash = match self.arithmetic.ends_with("f64") {
            true => self.hash::<f64>(model)?,
            false => self.hash::<f32>(model)?,
        };
        if hash.to_string() == self.state_hash {
            return Ok(());
        }
        let problem = "does not have the state that it was written with; the file was changed or is damaged".to_owned();
        Err(TrainError::Checkpoint { path: self.path.clone(), problem })
    }
}
