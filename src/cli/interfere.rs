//! `crosstalk interfere`.

mod picture;

use super::checkpoint::{CheckpointArguments, check_folder, free_file, make_folder, run_folder, trainer_at};
use super::device::{DeviceArguments, DeviceTask};
use super::progress::bar;
use crate::backend::Backend;
use crate::records::write_parquet;
use crate::report::Table;
use crate::study::{Interference, Measure, measure};
use crate::train::config::NormRegime;
use crate::train::{Checkpoint, Evaluator, Trainer, Workload};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Children up to which the matrix is printed.
const MOST_PRINTED: usize = 16;

#[derive(Args)]
pub struct InterfereArguments {
    #[command(flatten)]
    checkpoint: CheckpointArguments,
    /// Children: `all`, `every:N`, `sample:N` or a list with commas.
    #[arg(long, default_value = "every:16")]
    children: String,
    /// Folder for the results; the run folder unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
}

pub fn run(arguments: InterfereArguments) -> anyhow::Result<ExitCode> {
    let (checkpoint, norms) = arguments.checkpoint.read()?;
    let folder = match arguments.out {
        Some(path) => {
            check_folder(&path)?;
            path
        }
        None => run_folder(&checkpoint.path)?.to_owned(),
    };
    let InterfereArguments { children, device, .. } = arguments;
    device.run(checkpoint.config.precision, Interfere { checkpoint, children, norms, folder })?;
    Ok(ExitCode::SUCCESS)
}

struct Interfere {
    checkpoint: Checkpoint,
    children: String,
    norms: Vec<NormRegime>,
    folder: PathBuf,
}

impl DeviceTask for Interfere {
    type Output = ();

    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<()> {
        let mut trainer = trainer_at(&self.checkpoint, backend)?;
        let (norms, folder) = (self.norms.as_slice(), self.folder.as_path());
        let replica = self.checkpoint.replica;
        let measurement = Measurement { children: &self.children, norms, replica, folder, file: ResultFile::New };
        measure_and_report(&mut trainer, &measurement)?;
        println!("state {}", trainer.hash()?);
        Ok(())
    }
}

/// What to measure and where to write it.
pub struct Measurement<'a> {
    pub children: &'a str,
    pub norms: &'a [NormRegime],
    /// Number of the trainer's first replica in its run.
    pub replica: u32,
    pub folder: &'a Path,
    pub file: ResultFile,
}

/// What the results are called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResultFile {
    /// `end`: a run that was killed while it measured replaces what it had written.
    OfRun,
    /// `step-N`, then `step-N-2` ...: earlier results stay.
    New,
}

/// Measures the trainer's first replica; prints matrix and summary; writes `interference/*.parquet` and `plots/*.svg`.
pub fn measure_and_report<B: Backend>(trainer: &mut Trainer<B>, what: &Measurement) -> anyhow::Result<()> {
    let setup = trainer.setup.clone();
    let evaluator = Evaluator::new(&setup, setup.children("--children", what.children)?);
    let norms = if what.norms.is_empty() { &setup.config.evaluation.norm } else { what.norms };
    trainer.check_memory(&Workload::interference(trainer, &evaluator, norms))?;
    let progress = bar(evaluator.children.len() as u64, "children stepped");
    let mut interference = measure(trainer, 0, &evaluator, norms, &mut |rows| progress.set_position(rows as u64))?;
    progress.finish_and_clear();
    interference.replica = what.replica;
    let format = |child: &crate::space::Child| setup.space().format_child(child);
    let results = what.folder.join("interference");
    let path = match what.file {
        ResultFile::OfRun => make_folder(&results)?.join("end.parquet"),
        ResultFile::New => free_file(&results, interference.step, "parquet")?,
    };
    write_parquet(&path, &interference.records(format))?;
    let names: Vec<String> = interference.children.iter().map(format).collect();
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plots = what.folder.join("plots");
    make_folder(&plots)?;
    let mut written = vec![path];
    for index in 0..interference.norms.len() {
        // One matrix is enough to look at; the others are in the files.
        if index == 0 {
            print_matrix(&interference, index, &names);
        }
        print_summary(&interference, index);
        written.extend(picture::draw(&plots, &stem, &interference, index, &names)?);
    }
    println!();
    written.iter().for_each(|path| println!("Stored in {}", path.display()));
    Ok(())
}

fn print_matrix(interference: &Interference, norm: usize, names: &[String]) {
    let (regime, _, _) = &interference.norms[norm];
    println!(
        "\nInterference at step {} under {} statistics: change of the child in the column after a step on the child in the row",
        interference.step,
        regime.name()
    );
    if names.len() > MOST_PRINTED {
        println!("({} children: see the files)", names.len());
        return;
    }
    for (quantity, measure, unit, decimals) in
        [("loss x 1000", Measure::Loss, 1e3, 1), ("accuracy points", Measure::Accuracy, 1e2, 2)]
    {
        let mut table = Table::new(std::iter::once(quantity.to_owned()).chain(names.iter().cloned()));
        for (row, changes) in interference.changes(norm, measure).iter().enumerate() {
            let label = names.get(row).cloned().unwrap_or_else(|| "zero gradient".to_owned());
            table.row(
                std::iter::once(label).chain(changes.iter().map(|change| format!("{:+.decimals$}", unit * change))),
            );
        }
        println!();
        print!("{table}");
    }
}

fn print_summary(interference: &Interference, norm: usize) {
    let (regime, _, _) = &interference.norms[norm];
    println!(
        "\nMean change under {} statistics by number of shared candidates (most shared: the child's own step):",
        regime.name()
    );
    let mut table = Table::new(
        ["shared", "pairs", "loss x 1000", "loss beyond zero gradient x 1000", "accuracy points"].map(str::to_owned),
    );
    for summary in interference.by_shared_candidates(norm) {
        table.row([
            summary.shared.to_string(),
            summary.pairs.to_string(),
            format!("{:+.2}", 1e3 * summary.loss_change),
            format!("{:+.2}", 1e3 * summary.loss_change_beyond_zero),
            format!("{:+.2}", 1e2 * summary.accuracy_change),
        ]);
    }
    print!("{table}");
}
