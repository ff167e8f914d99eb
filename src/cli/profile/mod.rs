//! `crosstalk profile`: a steady window of steps, timed and shown to a profiler, and what ncu measured in it beside the cost model.

mod commands;
mod comparison;
mod ncu;
mod window;

use super::data::missing::with_way_out;
use super::device::DeviceArguments;
use super::planned::{PlannedSteps, device_facts};
use crate::data::Source;
use crate::device::facts::DeviceFacts;
use crate::ops::cuda::Storage;
use crate::train::config::{self, Precision, RunConfig};
use crate::train::{Setup, build_model};
use anyhow::Context;
use clap::Args;
use commands::Commands;
use comparison::Comparison;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use window::Window;

#[derive(Args)]
pub struct ProfileArguments {
    /// A preset (quick, paper, fashion, nasbench201, nasbench201-small, nasbench201-standalone, darts, darts-small) or a TOML file.
    config: String,
    /// Data set: digits, cifar10:PATH or idx:FOLDER.
    #[arg(long)]
    data: Option<Source>,
    /// Override a key, for example data.batch=512; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Steps of the window.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Steps before it, which are neither timed nor shown to a profiler.
    #[arg(long, default_value_t = 8)]
    warm_up: u64,
    /// Train nothing: read what ncu measured in this window (the printed command lines make the file), and print it beside the cost model.
    #[arg(long, value_name = "FILE", requires = "device_facts")]
    ncu_csv: Option<PathBuf>,
    /// GPU whose facts the cost model takes: h100, h200 or a100; the one that computes unless given, if it is one of these.
    #[arg(long, value_name = "GPU", value_parser = device_facts)]
    device_facts: Option<DeviceFacts>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: ProfileArguments) -> anyhow::Result<()> {
    let mut config = arguments.config()?;
    config.precision = arguments.device.precision(config.precision)?;
    match (&arguments.ncu_csv, &arguments.device_facts) {
        (Some(file), Some(facts)) => arguments.compare(config, file, facts),
        _ => arguments.measure(config),
    }
}

impl ProfileArguments {
    fn config(&self) -> anyhow::Result<RunConfig> {
        let mut assignments = Vec::new();
        assignments.extend(self.data.as_ref().map(|source| format!("data.source={:?}", source.to_string())));
        assignments.extend(self.set.iter().cloned());
        assignments.push(format!("steps={}", self.window().end));
        Ok(config::load(&self.config, &assignments)?)
    }

    /// The steps of the window, counted from the beginning.
    fn window(&self) -> Range<u64> {
        self.warm_up..self.warm_up.saturating_add(self.steps)
    }

    /// Trains the window and says how long it took.
    fn measure(self, config: RunConfig) -> anyhow::Result<()> {
        let precision = config.precision;
        let source = config.data.source.clone();
        let setup = Arc::new(Setup::new(config).map_err(|error| with_way_out(error, &source))?);
        let window = Window { setup, steps: self.window(), facts: self.device_facts };
        let (measured, facts) = self.device.run(precision, window)?;
        let commands = storage(precision).is_some().then(|| Commands::new(&self, precision, facts.as_ref()));
        if self.json {
            println!("{}", serde_json::to_string_pretty(&measured.with_commands(commands.as_ref()))?);
            return Ok(());
        }
        measured.print(facts.as_ref());
        if let Some(commands) = commands {
            commands.print(self.device.gpu(precision).is_some());
        }
        Ok(())
    }

    /// Reads what ncu measured in the window and puts it beside what the cost model says of it.
    fn compare(&self, mut config: RunConfig, file: &Path, facts: &DeviceFacts) -> anyhow::Result<()> {
        let launches = ncu::read(file)?;
        let storage = storage(config.precision)
            .context("no kernel computes in f64; give the precision of the run that ncu watched with --set precision=f32 or bf16")?;
        let space = config.network.resolve()?;
        let source = &config.data.source;
        let (shape, classes) = source.images(config.data.shrink).map_err(|error| with_way_out(error.into(), source))?;
        let model = build_model(&mut config, &space, shape, classes)?;
        let planned = PlannedSteps::new(&config, &model, self.window(), storage, facts)?;
        let comparison = Comparison::new(facts, self.window(), &planned.plan.rows(facts), &launches);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&comparison)?);
        } else {
            comparison.print(&config, facts);
        }
        Ok(())
    }
}

/// How kernels store numbers in a precision; `None` where there are no kernels.
fn storage(precision: Precision) -> Option<Storage> {
    match precision {
        Precision::F32 => Some(Storage::F32),
        Precision::Bf16 => Some(Storage::Bf16),
        Precision::F64 => None,
    }
}
