//! `crosstalk replay`.

use super::device::{DeviceArguments, DeviceTask};
use crate::backend::Executor;
use crate::report::Table;
use crate::study::replay::{Deviation, Trace, replay};
use crate::tensor::Real;
use crate::train::Setup;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const PARTS: [&str; 5] = ["gradients", "steps", "final", "evaluation", "predictions"];

#[derive(Args)]
pub struct ReplayArguments {
    /// Trace folder: trace.toml, init.safetensors, steps.csv, and what else was recorded.
    trace: PathBuf,
    /// Largest relative error; 1e-8 in f64, 1e-4 in f32 unless given. Counts and predictions must be equal.
    #[arg(long)]
    tolerance: Option<f64>,
    /// Parts to judge, with commas: gradients, steps, final, evaluation, predictions; all unless given.
    #[arg(long, value_delimiter = ',', value_parser = PARTS)]
    only: Vec<String>,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: ReplayArguments) -> anyhow::Result<ExitCode> {
    if let Some(tolerance) = arguments.tolerance {
        anyhow::ensure!(tolerance >= 0.0, "--tolerance must be at least 0, not {tolerance}");
    }
    let trace = Trace::read(&arguments.trace)?;
    let precision = trace.config.precision;
    let setup = Arc::new(Setup::new(trace.config.clone())?);
    let ReplayArguments { tolerance, only, device, .. } = arguments;
    device.run(precision, Replay { trace, setup, tolerance, only })
}

struct Replay {
    trace: Trace,
    setup: Arc<Setup>,
    tolerance: Option<f64>,
    only: Vec<String>,
}

impl DeviceTask for Replay {
    type Output = ExitCode;

    fn run<E: Executor + Send>(self, executor: E) -> anyhow::Result<ExitCode> {
        let tolerance = self.tolerance.unwrap_or(if E::Real::BITS == 64 { 1e-8 } else { 1e-4 });
        println!("{} on {}", self.trace.folder.display(), executor.arithmetic());
        let deviations = replay(&self.trace, self.setup, executor)?;
        let mut table = Table::new(["part", "compared", "largest error", "where", "verdict"].map(str::to_owned));
        let mut first_beyond: Vec<&Deviation> = Vec::new();
        for part in PARTS {
            if !self.only.is_empty() && !self.only.iter().any(|only| only == part) {
                continue;
            }
            let found: Vec<&Deviation> = deviations.iter().filter(|deviation| deviation.part == part).collect();
            let Some(largest) = found.iter().max_by(|a, b| a.error.total_cmp(&b.error)) else { continue };
            let beyond = found.iter().find(|deviation| deviation.error > tolerance);
            table.row([
                part.to_owned(),
                found.len().to_string(),
                format!("{:.2e}", largest.error),
                largest.place.clone(),
                if beyond.is_some() { "differs" } else { "agrees" }.to_owned(),
            ]);
            first_beyond.extend(beyond);
        }
        print!("{table}");
        for deviation in &first_beyond {
            println!("first beyond {tolerance:e} in {}: {}", deviation.part, deviation.place);
        }
        Ok(if first_beyond.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
