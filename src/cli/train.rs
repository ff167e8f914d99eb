//! `crosstalk train`.

use super::data::missing::with_way_out;
use super::device::{DeviceArguments, DeviceTask};
use super::interfere::{Measurement, ResultFile, measure_and_report};
use super::progress::TrainingBar;
use super::results::ranking;
use super::resumable::stopped;
use super::trained_children::{restrict_to_child, restrict_to_children};
use crate::backend::Executor;
use crate::backend::cpu::Cpu;
use crate::data::{DataError, Source};
use crate::network::Sharing;
use crate::simd::Level;
use crate::train::config::{self, ChildOrder, RunConfig, StartConfig};
use crate::train::{Checkpoint, MemoryPlan, Run, Setup, TrainError, Trainer, Workload, peak_bytes};
use anyhow::{Context, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Args)]
pub struct TrainArguments {
    /// A preset (quick, paper, fashion, nasbench201, nasbench201-small, nasbench201-standalone, darts, darts-small) or a TOML file.
    #[arg(required_unless_present_any = ["from", "resume"])]
    config: Option<String>,
    /// Data set: digits, cifar10:PATH or idx:FOLDER.
    #[arg(long)]
    data: Option<Source>,
    /// Override a key, for example optimizer.learning_rate=0.05; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train these children only, in this order: a list with commas, `all`, `every:N` or `sample:N`. Where the configuration evaluates or
    /// measures `all`, `every:N` or `sample:N` children, they are of these too, unless --set says otherwise.
    #[arg(long)]
    children: Option<String>,
    /// Train and evaluate this child alone: a standalone network, whatever the configuration says of children.
    #[arg(long, conflicts_with = "children")]
    child: Option<String>,
    /// Updates, instead of the configured length.
    #[arg(long)]
    steps: Option<u64>,
    /// Go on from a checkpoint of ours (weights, momentum, data stream; constant learning rate), or, with a preset or file, start
    /// from the weights of any .safetensors file with official names.
    #[arg(long, value_name = "CHECKPOINT")]
    from: Option<PathBuf>,
    /// Go on with a run that was stopped, on the backend and instruction set that it began with.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "data", "set", "children", "child", "steps", "from", "out"])]
    resume: Option<PathBuf>,
    /// Run folder; it must not exist. `runs/NAME` unless given, then `runs/NAME-2` ...
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the resolved configuration and stop. Without its data, it lacks what only the data knows: classes, pixel mean and std.
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(mut arguments: TrainArguments) -> anyhow::Result<ExitCode> {
    let mut config = match &arguments.resume {
        Some(folder) => Run::<Cpu>::config(folder)?,
        None => resolve(&arguments)?,
    };
    config.precision = arguments.device.precision(config.precision)?;
    if arguments.print_config {
        print!("{}", resolved(config)?.to_toml()?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &arguments.resume {
        ensure!(!Run::<Cpu>::has_ended(folder), "{} has ended; there is nothing to resume", folder.display());
        if let Some(recorded) = Run::<Cpu>::recorded_arithmetic(folder)? {
            let adopted = arguments.device.adopt(&recorded, &Level::available());
            adopted.with_context(|| format!("the run in {} cannot go on here", folder.display()))?;
        }
    }
    let precision = config.precision;
    let source = config.data.source.clone();
    let setup = Setup::new(config).map_err(|error| match &arguments.resume {
        Some(_) => error.into(),
        None => with_way_out(error, &source),
    })?;
    let setup = Arc::new(setup);
    arguments.device.run(precision, Train { setup, out: arguments.out, resume: arguments.resume })?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration that the arguments describe.
fn resolve(arguments: &TrainArguments) -> anyhow::Result<RunConfig> {
    let mut assignments = Vec::new();
    if let Some(source) = &arguments.data {
        assignments.push(format!("data.source={:?}", source.to_string()));
    }
    if let Some(steps) = arguments.steps {
        assignments.push(format!("steps={steps}"));
    }
    assignments.extend(arguments.set.iter().cloned());
    let mut config = match (&arguments.config, &arguments.from) {
        (Some(name), from) => {
            let mut config = config::load(name, &assignments)?;
            config.start = from.clone().map(|from| StartConfig { from, step: 0, mini_batches: 0 }).or(config.start);
            config
        }
        (None, Some(from)) => going_on(from, &assignments)?,
        (None, None) => anyhow::bail!("name a preset, a TOML file, --from or --resume"),
    };
    if let Some(text) = &arguments.children {
        restrict_to_children(&mut config, text, &assignments)?;
    }
    if let Some(text) = &arguments.child {
        restrict_to_child(&mut config, text)?;
    }
    Ok(config)
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

/// The configuration that goes on from a checkpoint, at the constant rate of its last step.
fn going_on(from: &Path, assignments: &[String]) -> anyhow::Result<RunConfig> {
    let checkpoint = Checkpoint::read(from, 0)?;
    let mut config = checkpoint.config;
    config.name = format!("{}-from-{}", config.name, checkpoint.step);
    config.replicas = 1;
    config.optimizer.hold_rate(checkpoint.learning_rate.unwrap_or(config.optimizer.learning_rate));
    let [init, data, order] = config.seed.of(checkpoint.replica);
    (config.seed.init, config.seed.data, config.seed.order) = (Some(init), Some(data), Some(order));
    config.interference.children = None;
    hold_children(&mut config)?;
    let (step, mini_batches) = (checkpoint.step, checkpoint.mini_batches);
    config.start = Some(StartConfig { from: checkpoint.path, step, mini_batches });
    Ok(config::from_text(&config.to_toml()?, &from.display().to_string(), assignments)?)
}

/// Keeps the private copies of the children of a run whose continuation may train fewer of them.
fn hold_children(config: &mut RunConfig) -> anyhow::Result<()> {
    if config.network.sharing != Sharing::All && config.network.children.is_none() {
        config.network.children = Some(match &config.step.order {
            ChildOrder::List(names) => names.clone(),
            _ => {
                let space = config.network.load_space()?;
                space.enumerate().map(|child| space.format_child(&child)).collect()
            }
        });
    }
    Ok(())
}

struct Train {
    setup: Arc<Setup>,
    out: Option<PathBuf>,
    resume: Option<PathBuf>,
}

impl DeviceTask for Train {
    type Output = ();

    fn run<E: Executor + Send>(self, executor: E) -> anyhow::Result<()> {
        let run = match &self.resume {
            Some(folder) => Run::resume(folder, self.setup, executor)?,
            None => Run::create(Trainer::new(self.setup, executor)?, self.out.as_deref())?,
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
            println!(
                "Trained {} images in {seconds:.1} s: {:.0} images/s, {:.1} GFLOP/s; evaluated in {:.1} s",
                summary.images,
                summary.images as f64 / seconds,
                summary.flops as f64 / seconds / 1e9,
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
                norms: &interference.norm,
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
        let hashes = run.trainer.replica_hashes();
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

fn describe<E: Executor>(run: &Run<E>) {
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
    println!(
        "Steps {} to {}, {} an epoch, on {} with {} thread(s)",
        trainer.step,
        trainer.last_step(),
        trainer.steps_per_epoch(),
        trainer.host.executor.arithmetic(),
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
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
