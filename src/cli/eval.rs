//! `crosstalk eval`.

use super::checkpoint::{CheckpointArguments, free_file, run_folder, trainer_at};
use super::device::{DeviceArguments, DeviceTask};
use super::progress::bar;
use super::results::ranking;
use crate::backend::Backend;
use crate::records::{AccuracyRecord, write_parquet};
use crate::train::config::NormRegime;
use crate::train::{Checkpoint, Evaluator, Workload};
use anyhow::ensure;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

#[derive(Args)]
pub struct EvalArguments {
    #[command(flatten)]
    checkpoint: CheckpointArguments,
    /// Children: `all`, `every:N`, `sample:N`, a list with commas, or of a search `derived`, the child that it makes.
    #[arg(long, default_value = "all")]
    children: String,
    /// Parquet file for the results, which must not exist; `evaluations/step-N.parquet` in the run folder unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: EvalArguments) -> anyhow::Result<ExitCode> {
    let (checkpoint, norms) = arguments.checkpoint.read()?;
    let out = match arguments.out {
        Some(file) => {
            check_new(&file)?;
            Destination::File(file)
        }
        None => Destination::Folder(run_folder(&checkpoint.path)?.join("evaluations")),
    };
    let EvalArguments { children, device, .. } = arguments;
    device.run(checkpoint.config.precision, Eval { checkpoint, children, norms, out })?;
    Ok(ExitCode::SUCCESS)
}

/// Results never take the place of what is there, and what cannot be written is told before the work.
fn check_new(file: &Path) -> anyhow::Result<()> {
    ensure!(!file.exists(), "{} exists already; name another file with --out, or remove it", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "{} is no folder; make it, or name another file with --out", folder.display());
    Ok(())
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

    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<()> {
        let trainer = trainer_at(&self.checkpoint, backend)?;
        let setup = &trainer.setup;
        let evaluator = Evaluator::new(setup, trainer.children(0, "--children", &self.children)?);
        trainer.check_memory(&Workload::evaluation(&evaluator, &self.norms))?;
        let replica = &trainer.replicas[0];
        let mut rows = Vec::new();
        let progress = bar(self.norms.iter().map(|norm| evaluator.passes(*norm)).sum(), "passes over a mini-batch");
        let started = Instant::now();
        for norm in &self.norms {
            let (backend, seed) = (&trainer.backend, replica.data_seed);
            let results = evaluator.evaluate_observed(backend, &replica.state, *norm, seed, &mut || progress.inc(1))?;
            rows.extend(evaluator.records(trainer.step, self.checkpoint.replica, *norm, &results));
        }
        let seconds = started.elapsed().as_secs_f64();
        progress.finish_and_clear();
        let evaluated: u64 = rows.iter().map(|row: &AccuracyRecord| u64::from(row.images)).sum();
        println!(
            "Evaluated {} children in {seconds:.2} s: {:.0} images/s (images times children and regimes)\n",
            evaluator.children.len(),
            evaluated as f64 / seconds,
        );
        println!("Children after step {} (replica {}):", trainer.step, self.checkpoint.replica);
        print!("{}", ranking(&rows, usize::MAX));
        let file = match self.out {
            Destination::File(file) => file,
            Destination::Folder(folder) => free_file(&folder, trainer.step, "parquet")?,
        };
        write_parquet(&file, &rows)?;
        println!("\nStored in {}", file.display());
        println!("state {}", trainer.hash()?);
        Ok(())
    }
}
