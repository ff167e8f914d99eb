//! What `crosstalk train` and `crosstalk search` share: their arguments, the run from its beginning to its end, and what it prints.

use super::data::missing::with_way_out;
use super::device::{DeviceArguments, DeviceTask};
use super::interfere::{Measurement, ResultFile, measure_and_report};
use super::progress::TrainingBar;
use super::results::ranking;
use super::resumable::stopped;
use crate::backend::Backend;
use crate::data::{DataError, Source};
use crate::simd::Level;
use crate::train::config::{Precision, RunConfig};
use crate::train::{
    MemoryPlan, Run, Setup, TrainError, Trainer, Workload, has_ended, peak_bytes, recorded_arithmetic, run_config,
};
use anyhow::{Context, ensure};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Args)]
pub struct RunArguments {
    /// A preset (quick, paper, fashion, nasbench201, nasbench201-small, nasbench201-standalone, darts, darts-small) or a TOML file.
    #[arg(required_unless_present_any = ["from", "resume"])]
    pub config: Option<String>,
    /// Data set: digits, cifar10:PATH or idx:FOLDER.
    #[arg(long)]
    data: Option<Source>,
    /// Override a key, for example optimizer.learning_rate=0.05; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Updates, instead of the configured length.
    #[arg(long)]
    steps: Option<u64>,
    /// Go on from a checkpoint of ours (weights, momentum, data stream; constant learning rate), or, with a preset or file, start
    /// from the weights of any .safetensors file with official names.
    #[arg(long, value_name = "CHECKPOINT")]
    pub from: Option<PathBuf>,
    /// Go on with a run that was stopped, on the backend and instruction set that it began with.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "data", "set", "steps", "from", "out"])]
    pub resume: Option<PathBuf>,
    /// Run folder; it must not exist. `runs/NAME` unless given, then `runs/NAME-2` ...
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the resolved configuration and stop. Without its data, it lacks what only the data knows: classes, pixel mean and std.
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

impl RunArguments {
    /// The keys that the arguments override.
    pub fn assignments(&self) -> Vec<String> {
        let mut assignments = Vec::new();
        if let Some(source) = &self.data {
            assignments.push(format!("data.source={:?}", source.to_string()));
        }
        if let Some(steps) = self.steps {
            assignments.push(format!("steps={steps}"));
        }
        assignments.extend(self.set.iter().cloned());
        assignments
    }

    /// Runs what `resolve` makes of the arguments, or goes on with a run that was stopped.
    pub fn run(mut self, resolve: impl FnOnce(&Self) -> anyhow::Result<RunConfig>) -> anyhow::Result<ExitCode> {
        let mut config = match &self.resume {
            Some(folder) => run_config(folder)?,
            None => resolve(&self)?,
        };
        config.precision = self.device.precision(config.precision)?;
        if self.print_config {
            print!("{}", resolved(config)?.to_toml()?);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(folder) = &self.resume {
            ensure!(!has_ended(folder), "{} has ended; there is nothing to resume", folder.display());
            if let Some(recorded) = recorded_arithmetic(folder)? {
                let adopted = self.device.adopt(&recorded, &Level::available());
                adopted.with_context(|| format!("the run in {} cannot go on here", folder.display()))?;
            }
        }
        let precision = config.precision;
        let source = config.data.source.clone();
        let setup = Setup::new(config).map_err(|error| match &self.resume {
            Some(_) => error.into(),
            None => with_way_out(error, &source),
        })?;
        let setup = Arc::new(setup);
        self.device.run(precision, Train { setup, out: self.out, resume: self.resume })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The configuration with everything filled in, but for what only the data knows if that cannot be read.
fn resolved(mut config: RunConfig) -> anyhow::Result<RunConfig> {
    config.validate()?;
    config.network.resolve()?;
    match Setup::new(config.clone()) {
        Ok(setup) => Ok(setup.config),
        Err(TrainError::Data(problem @ (DataError::Unreadable { .. } | DataError::Missing { .. }))) => {
            eprintln!("note: without what only the data knows (classes, pixel mean and std): {problem}");
            Ok(config)
        }
        Err(problem) => Err(problem.into()),
    }
}

struct Train {
    setup: Arc<Setup>,
    out: Option<PathBuf>,
    resume: Option<PathBuf>,
}

impl DeviceTask for Train {
    type Output = ();

    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<()> {
        let run = match &self.resume {
            Some(folder) => Run::resume(folder, self.setup, backend)?,
            None => Run::create(Trainer::new(self.setup, backend)?, self.out.as_deref())?,
        };
        describe(&run);
        let last = run.trainer.last_step();
        let left = last - run.trainer.step;
        let folder = run.folder.clone();
        let mut bar = TrainingBar::new(left);
        let (mut run, summary) = run.train(&mut bar).map_err(|error| stopped(error.into(), &folder))?;
        drop(bar);
        if summary.images > 0 {
            let seconds = summary.training_seconds;
            let numbers = summary.cost.bytes / Precision::F32.bytes();
            println!(
                "Trained {} images in {seconds:.1} s: {:.0} images/s, {:.1} GFLOP/s, at least {:.2} GB/s; evaluated in {:.1} s",
                summary.images,
                summary.images as f64 / seconds,
                summary.cost.flops as f64 / seconds / 1e9,
                (numbers * run.trainer.setup.config.precision.bytes()) as f64 / seconds / 1e9,
                summary.evaluation_seconds,
            );
        }
        for replica in 0..run.trainer.replicas.len() {
            let rows: Vec<_> =
                run.last_evaluation.iter().filter(|row| row.replica == replica as u32).cloned().collect();
            if !rows.is_empty() {
                println!("\nChildren after step {} (replica {replica}):", summary.steps);
                print!("{}", ranking(&rows, 64));
            }
        }
        let interference = run.trainer.setup.config.interference.clone();
        if let Some(children) = &interference.children {
            let measurement = Measurement {
                children,
                norms: interference.norm.as_deref().unwrap_or_default(),
                replica: 0,
                folder: &run.folder,
                file: ResultFile::OfRun,
            };
            if run.trainer.replicas.len() > 1 {
                println!(
                    "\nInterference is measured in replica 0 alone; `crosstalk interfere {} --replica 1` measures another",
                    folder.display()
                );
            }
            measure_and_report(&mut run.trainer, &measurement).map_err(|error| stopped(error, &folder))?;
        }
        let hashes = run.trainer.replica_hashes()?;
        run.finish(&summary).map_err(|error| stopped(error.into(), &folder))?;
        if let Some(peak) = peak_bytes() {
            println!("\nPeak memory {:.1} MiB", mebibytes(peak));
        }
        println!("Stored in {}", folder.display());
        if hashes.len() > 1 {
            hashes.iter().enumerate().for_each(|(replica, hash)| println!("replica {replica} state {hash}"));
        }
        println!("state {}", summary.state_hash);
        Ok(())
    }
}

fn describe<B: Backend>(run: &Run<B>) {
    let trainer = &run.trainer;
    let config = &trainer.setup.config;
    let split = &trainer.setup.split;
    println!(
        "{}: {} on {}, {} training and {} evaluation images, {} parameters, {} replica(s)",
        config.name,
        config.network.space,
        config.data.source,
        split.training.len(),
        split.evaluation.len(),
        trainer.setup.model.network.parameter_count(),
        config.replicas,
    );
    if let Some(images) = trainer.setup.alpha_images() {
        println!("{images} more training images move the architecture parameters");
    }
    println!(
        "Steps {} to {}, {} an epoch, on {} with {} thread(s)",
        trainer.step,
        trainer.last_step(),
        trainer.steps_per_epoch(),
        trainer.backend.arithmetic(),
        rayon::current_num_threads(),
    );
    let memory = MemoryPlan::new(trainer, &Workload::run(trainer, run.evaluator.as_ref()));
    println!(
        "Planned memory {:.1} MiB: {:.1} resident, {:.1} mini-batches, {:.1} training, {:.1} evaluation, {:.1} other",
        mebibytes(memory.peak()),
        mebibytes(memory.resident),
        mebibytes(memory.mini_batches),
        mebibytes(memory.training),
        mebibytes(memory.evaluation),
        mebibytes(memory.records + memory.other),
    );
    if let Some(plan) = memory.device {
        println!(
            "Planned memory of the GPU {:.1} of {:.1} MiB: {:.1} training, {:.1} evaluation, {:.1} banks, {:.1} mini-batches",
            mebibytes(plan.peak()),
            mebibytes(plan.memory.available()),
            mebibytes(plan.training),
            mebibytes(plan.evaluation),
            mebibytes(plan.banks),
            mebibytes(plan.mini_batches),
        );
    }
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
