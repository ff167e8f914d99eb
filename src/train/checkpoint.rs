//! Checkpoints: one `.safetensors` file a replica, in a folder named by the step.

use super::checkpoint_folder::{UnfinishedFolder, resolve};
use super::config::{RunConfig, from_text};
use super::journals::Rows;
use super::{Setup, TrainError};
use crate::device::DeviceError;
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
/// Of the metadata.
const ROW_KEYS: [&str; 3] = ["step_rows", "accuracy_rows", "alpha_rows"];

/// Where a run stands, beside the tensors.
#[derive(Clone, Debug)]
pub struct Position {
    pub step: u64,
    pub mini_batches: u64,
    /// Rate of the last step done.
    pub learning_rate: Option<f64>,
    /// What decides the bits.
    pub arithmetic: String,
    /// Of the run's journals.
    pub rows: Rows,
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
    pub rows: Rows,
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
    let folder = UnfinishedFolder::create(run, position.step)?;
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
            ("state_hash", snapshot.hash(&setup.model).to_string()),
        ];
        let rows = ROW_KEYS.into_iter().zip(position.rows.map(|rows| rows.to_string()));
        let metadata = metadata.into_iter().chain(rows).map(|(key, value)| (key.to_owned(), value)).collect();
        TensorFile { metadata, tensors }.write(&folder.file(replica))?;
    }
    folder.finish()
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
        let [steps, accuracy, alphas] = ROW_KEYS;
        Ok(Self {
            config: from_text(text("config")?, &path.display().to_string(), &[])?,
            replica: number("replica")? as u32,
            step: number("step")?,
            mini_batches: number("mini_batches")?,
            learning_rate: text("learning_rate")?.parse().ok(),
            arithmetic: text("arithmetic")?.clone(),
            rows: [number(steps)?, number(accuracy)?, number(alphas)?],
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
