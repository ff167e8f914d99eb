//! `crosstalk eval`.

use super::device::{DeviceArguments, DeviceTask};
use super::results::ranking;
use crate::backend::Executor;
use crate::records::write_parquet;
use crate::train::config::NormRegime;
use crate::train::{Checkpoint, Evaluator, Setup, Trainer};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Args)]
pub struct EvalArguments {
    /// A run folder (its newest checkpoint), a checkpoint's folder, or its .safetensors file.
    run: PathBuf,
    /// Children: `all`, `every:N` or a list with commas.
    #[arg(long, default_value = "all")]
    children: String,
    /// Regimes of batch normalization, with commas: running, batch, recalibrated.
    #[arg(long, value_delimiter = ',', default_value = "running")]
    norm: Vec<NormRegime>,
    #[arg(long, default_value_t = 0)]
    replica: u32,
    /// Parquet file for the results; `evaluations/step-N.parquet` in the run folder unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: EvalArguments) -> anyhow::Result<ExitCode> {
    NormRegime::check_distinct("--norm", &arguments.norm)?;
    let checkpoint = Checkpoint::read(&arguments.run, arguments.replica)?;
    let out = match arguments.out {
        Some(file) => Destination::File(file),
        None => Destination::Folder(run_folder(&checkpoint.path)?.join("evaluations")),
    };
    let EvalArguments { children, norm, device, .. } = arguments;
    device.run(checkpoint.config.precision, Eval { checkpoint, children, norms: norm, out })?;
    Ok(ExitCode::SUCCESS)
}

struct Eval {
    checkpoint: Checkpoint,
    children: String,
    norms: Vec<NormRegime>,
    out: Destination,
}

enum Destination {
    File(PathBuf),
    /// The first free name in it; it is made when there is something to write.
    Folder(PathBuf),
}

impl DeviceTask for Eval {
    type Output = ();

    fn run<E: Executor + Send>(self, executor: E) -> anyhow::Result<()> {
        let trainer = trainer_at(&self.checkpoint, executor)?;
        let setup = &trainer.setup;
        let evaluator = Evaluator::new(setup, setup.children(&self.children)?);
        let replica = &trainer.replicas[0];
        let mut rows = Vec::new();
        for norm in &self.norms {
            let results = evaluator.evaluate(&trainer.host, &replica.state, *norm, replica.data_seed);
            rows.extend(evaluator.records(trainer.step, self.checkpoint.replica, *norm, &results));
        }
        println!("Children after step {} (replica {}):", trainer.step, self.checkpoint.replica);
        print!("{}", ranking(&rows, usize::MAX));
        let file = match self.out {
            Destination::File(file) => file,
            Destination::Folder(folder) => free_file(&folder, trainer.step, "parquet")?,
        };
        write_parquet(&file, &rows)?;
        println!("\nStored in {}", file.display());
        println!("state {}", trainer.hash());
        Ok(())
    }
}

/// A trainer of the checkpoint's replica alone, standing where the checkpoint does.
pub fn trainer_at<E: Executor>(checkpoint: &Checkpoint, executor: E) -> anyhow::Result<Trainer<E>> {
    let mut config = checkpoint.config.clone();
    let [init, data, order] = config.seed.of(checkpoint.replica);
    (config.seed.init, config.seed.data, config.seed.order) = (Some(init), Some(data), Some(order));
    config.replicas = 1;
    Ok(Trainer::at(Arc::new(Setup::new(config)?), executor, std::slice::from_ref(checkpoint))?)
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
pub fn make_folder(folder: &Path) -> anyhow::Result<&Path> {
    std::fs::create_dir_all(folder).map_err(|cause| anyhow::anyhow!("cannot create {}: {cause}", folder.display()))?;
    Ok(folder)
}
