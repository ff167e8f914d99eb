//! `crosstalk replay`.

use super::device::{DeviceArguments, DeviceTask};
use super::progress::bar;
use super::weights::tolerance;
use crate::backend::Backend;
use crate::report::Table;
use crate::study::replay::{Comparison, Deviation, Part, Replay, Trace, default_tolerance};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code when a part deviates beyond its tolerance.
const DIFFERENT: u8 = 1;

#[derive(Args)]
pub struct ReplayArguments {
    /// A trace: a folder with trace.toml, init.safetensors, steps.csv and perhaps more.
    trace: PathBuf,
    /// Largest deviation at which numbers still agree; 1e-8 on the reference and 1e-4 on the CPU backend unless given. Counts and
    /// predictions must always be the same.
    #[arg(long, value_parser = tolerance)]
    tolerance: Option<f64>,
    /// Compare only these parts, with commas: gradients, steps, alphas, final, evaluation, predictions.
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Option<Vec<Part>>,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: ReplayArguments) -> anyhow::Result<ExitCode> {
    let ReplayArguments { trace, tolerance, only, device } = arguments;
    let trace = Trace::read(&trace)?;
    let agrees = device.run(trace.precision(), Task { trace: &trace, tolerance, only })?;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

struct Task<'a> {
    trace: &'a Trace,
    tolerance: Option<f64>,
    only: Option<Vec<Part>>,
}

impl DeviceTask for Task<'_> {
    /// Whether everything agrees.
    type Output = bool;

    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<bool> {
        let tolerance = self.tolerance.unwrap_or_else(|| default_tolerance(&backend));
        let replay = Replay::new(self.trace, self.only.as_deref(), tolerance)?;
        println!("{} on {}, {} steps", self.trace.folder.display(), backend.arithmetic(), replay.steps());
        let bar = bar(replay.steps(), "steps");
        let comparisons = replay.run(backend, |step| bar.set_position(step));
        bar.finish_and_clear();
        let comparisons = comparisons?;
        print!("\n{}", table(&comparisons));
        let differences = first_differences(&comparisons);
        if !differences.is_empty() {
            println!("\n{}", differences.join("\n"));
        }
        Ok(comparisons.iter().all(Comparison::agrees))
    }
}

fn table(comparisons: &[Comparison]) -> Table {
    let mut table = Table::new(["part", "quantity", "compared", "largest deviation", "where", "tolerance", "verdict"]);
    for comparison in comparisons {
        let exact = comparison.tolerance == 0.0;
        let size = |deviation: &Deviation| match deviation.size.fract() == 0.0 {
            true => deviation.size.to_string(),
            false => format!("{:.1e}", deviation.size),
        };
        let largest = comparison.largest.as_ref();
        table.row([
            comparison.part.to_string(),
            comparison.quantity.to_owned(),
            comparison.compared.to_string(),
            largest.map_or_else(|| "0".to_owned(), size),
            largest.map_or_else(|| "-".to_owned(), |deviation| deviation.place.clone()),
            if exact { "exact".to_owned() } else { format!("{:.0e}", comparison.tolerance) },
            match comparison.beyond {
                0 => "agrees".to_owned(),
                beyond => format!("{beyond} differ"),
            },
        ]);
    }
    table
}

/// Where each quantity first goes beyond its tolerance.
fn first_differences(comparisons: &[Comparison]) -> Vec<String> {
    let line = |comparison: &Comparison| {
        let Deviation { place, detail, .. } = comparison.first.as_ref()?;
        let what = match comparison.part {
            Part::Gradients => "parameter whose gradient differs",
            Part::Steps => "step whose",
            Part::Alphas => "architecture parameters that differ",
            Part::Final => "parameter that differs after the last step",
            Part::Evaluation => "evaluation whose",
            Part::Predictions => "predictions that differ",
        };
        let quantity = match comparison.part {
            Part::Steps | Part::Evaluation => format!(" {} differs", comparison.quantity),
            _ => String::new(),
        };
        Some(format!("First {what}{quantity}: {place}: {detail}"))
    };
    comparisons.iter().filter_map(line).collect()
}
