//! What subcommands that start from a checkpoint share: its arguments, a trainer that stands there, and where results go.

use crate::backend::Backend;
use crate::files::FileError;
use crate::train::config::NormRegime;
use crate::train::{Checkpoint, Setup, Trainer};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args)]
pub struct CheckpointArguments {
    /// A run folder (its newest checkpoint), a checkpoint's folder, or its .safetensors file.
    run: PathBuf,
    /// Regimes of batch normalization, with commas: running, batch, recalibrated.
    #[arg(long, value_delimiter = ',', default_value = "running")]
    norm: Vec<NormRegime>,
    /// Number of the replica in its run.
    #[arg(long, default_value_t = 0)]
    replica: u32,
}

impl CheckpointArguments {
    /// The checkpoint, and the regimes to evaluate under.
    pub fn read(&self) -> anyhow::Result<(Checkpoint, Vec<NormRegime>)> {
        if !self.norm.is_empty() {
            NormRegime::check("--norm", &self.norm)?;
        }
        Ok((Checkpoint::read(&self.run, self.replica)?, self.norm.clone()))
    }
}

/// A trainer of the checkpoint's replica alone, standing where the checkpoint does.
pub fn trainer_at<B: Backend>(checkpoint: &Checkpoint, backend: B) -> anyhow::Result<Trainer<B>> {
    let mut config = checkpoint.config.clone();
    let [init, data, order] = config.seed.of(checkpoint.replica);
    (config.seed.init, config.seed.data, config.seed.order) = (Some(init), Some(data), Some(order));
    config.replicas = 1;
    Ok(Trainer::at(Arc::new(Setup::new(config)?), backend, std::slice::from_ref(checkpoint))?)
}

/// The run folder that a checkpoint's file lies in.
pub fn run_folder(checkpoint: &Path) -> anyhow::Result<&Path> {
    let run = checkpoint.ancestors().find(|folder| folder.join("run.toml").is_file());
    run.ok_or_else(|| anyhow::anyhow!("{} lies in no run folder; say where to write with --out", checkpoint.display()))
}

/// `step-N.EXTENSION` in a folder, or the first free of `step-N-2`, `step-N-3` ...; the folder is made.
pub fn free_file(folder: &Path, step: u64, extension: &str) -> anyhow::Result<PathBuf> {
    make_folder(folder)?;
    let name = |number: u64| match number {
        1 => folder.join(format!("step-{step:08}.{extension}")),
        _ => folder.join(format!("step-{step:08}-{number}.{extension}")),
    };
    let mut number = 1;
    while name(number).exists() {
        number += 1;
    }
    Ok(name(number))
}

/// Makes a folder unless it is there.
pub fn make_folder(folder: &Path) -> Result<&Path, FileError> {
    std::fs::create_dir_all(folder).map_err(|cause| FileError::new("create", folder, cause))?;
    Ok(folder)
}

/// Checks that a folder is there or can be made, as far as the path tells: what cannot be written is told before the work.
pub fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let file = folder.ancestors().find(|above| above.exists()).filter(|above| !above.is_dir());
    match file {
        Some(file) => anyhow::bail!("--out {}: {} is a file; name a folder", folder.display(), file.display()),
        None => Ok(()),
    }
}
