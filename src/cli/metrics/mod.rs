//! `crosstalk metrics`: how well a prediction ranks the children, for tables of any tool.

mod plots;
mod print;

use crate::rank::Bootstrap;
use crate::space::Space;
use crate::study::metrics::{MetricsOptions, Results, Top, metrics};
use crate::tables::{Accuracies, Joined, Location, Selection, Side, TableError, Truth, join};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Args)]
pub struct MetricsArguments {
    /// Table of what the children really reach: FILE or FILE:COLUMN. CSV or Parquet.
    ///
    /// Several columns (FILE:A,B or FILE:START*) or a column `run`, `seed` or `replica` are several stand-alone runs: their mean is
    /// the truth, and how they agree the noise ceiling. Of a table with records in time, the last counts.
    #[arg(long, value_name = "FILE[:COLUMN]")]
    truth: Location,
    /// Table of what was predicted: FILE or FILE:COLUMN. CSV or Parquet, for example the accuracy.parquet of a run.
    ///
    /// Several columns (FILE:A,B or FILE:START*) or a column `step` or `epoch` are records in time.
    #[arg(long, value_name = "FILE[:COLUMN]")]
    predicted: Location,
    /// Table of the same children measured by other trainings, where the truth is not of several runs: how it agrees with the truth is
    /// the noise ceiling.
    #[arg(long, value_name = "FILE[:COLUMN]")]
    second_truth: Option<Location>,
    /// Search space by which children are read, a name or a file; without it, they are joined by their text.
    #[arg(long, value_name = "NAME|FILE")]
    space: Option<String>,
    /// Column of the child, if it has an unusual name; the first of these names that a table has, with commas.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    child: Vec<String>,
    /// Column that tells the records of a prediction apart, if it has an unusual name.
    #[arg(long, value_name = "COLUMN")]
    record: Option<String>,
    /// Column that tells runs apart, if it has an unusual name.
    #[arg(long, value_name = "COLUMN")]
    run: Option<String>,
    /// Regime of batch normalization of the prediction; all that its column `norm` holds unless given.
    #[arg(long, value_name = "REGIME")]
    norm: Option<String>,
    /// Regime of batch normalization of the truth, where its column `norm` holds several.
    #[arg(long, value_name = "REGIME")]
    truth_norm: Option<String>,
    /// Tables whose lowest number is the best, as of losses and errors: `truth` (and the second truth), `predicted`, or both with a
    /// comma. Without it, the highest is.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TABLE")]
    lower_is_better: Vec<LowerIsBetter>,
    /// The K of P@topK, P@bottomK, BR@K and WR@K: numbers of children, or shares as `5%`, with commas.
    #[arg(long, value_delimiter = ',', default_value = "10%", value_parser = top)]
    top: Vec<Top>,
    /// Records at the end of each run over which means are taken.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,
    /// Bootstrap replicates for confidence intervals; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bootstrap: u32,
    /// Probability that the intervals cover.
    #[arg(long, value_name = "P", default_value_t = 0.95, value_parser = confidence)]
    confidence: f64,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Folder for plots (SVG): truth against prediction, and tau inside the true top.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LowerIsBetter {
    Truth,
    Predicted,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    truth: TableReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_truth: Option<TableReport>,
    predicted: TableReport,
    space: Option<String>,
    bootstrap: BootstrapReport,
    /// One a regime of batch normalization.
    results: Vec<Results>,
}

#[derive(Serialize)]
struct TableReport {
    file: String,
    /// Of the accuracies.
    column: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lower_is_better: bool,
    runs: usize,
    /// Of the truth; a prediction's records may have different ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<usize>,
}

impl TableReport {
    fn of(truth: &Truth, lower_is_better: bool) -> Self {
        Self {
            file: truth.path.display().to_string(),
            column: truth.column.clone(),
            lower_is_better,
            runs: truth.runs,
            children: Some(truth.children()),
        }
    }
}

#[derive(Serialize)]
struct BootstrapReport {
    replicates: u32,
    confidence: f64,
    seed: u64,
}

/// Reads, joins, measures, prints and draws.
///
/// # Errors
/// A table that cannot be read or joined, and a plot that cannot be written.
pub fn run(arguments: MetricsArguments) -> anyhow::Result<()> {
    let space = arguments.space.as_deref().map(Space::load).transpose()?;
    let [lower_truth, lower_prediction] =
        [LowerIsBetter::Truth, LowerIsBetter::Predicted].map(|side| arguments.lower_is_better.contains(&side));
    let read = |location: &Location, side| {
        let selection = Selection {
            child: arguments.child.clone(),
            record: arguments.record.clone(),
            run: arguments.run.clone(),
            values: location.columns.clone(),
        };
        let table = Accuracies::read(&location.path, side, &selection, space.as_ref())?;
        let lower_is_better = if side == Side::Truth { lower_truth } else { lower_prediction };
        Ok::<_, TableError>(if lower_is_better { table.negated() } else { table })
    };
    let truth = read(&arguments.truth, Side::Truth)?;
    let predicted = read(&arguments.predicted, Side::Predicted)?;
    if let Some(run) = &arguments.run
        && truth.run_column.is_none()
        && predicted.run_column.is_none()
    {
        anyhow::bail!("neither table has the column `{run}` that --run names; name one of theirs");
    }
    let mut truth = Truth::of(truth.of_norm(arguments.truth_norm.as_deref(), "--truth-norm")?)?;
    let second = arguments.second_truth.as_ref().map(|location| Truth::of(read(location, Side::Truth)?)).transpose()?;
    if let Some(second) = &second {
        truth = truth.measured_again(second)?;
    }
    let predicted = predicted.of_norm(arguments.norm.as_deref(), "--norm")?;
    let joined: Vec<Joined> =
        predicted.groups.iter().map(|group| join(&truth, &predicted, group)).collect::<Result<_, _>>()?;

    let fewest = joined.iter().map(|joined| joined.children.len()).min().unwrap_or(0);
    if let Some(k) = arguments.top.iter().find_map(|top| match top {
        Top::Children(k) if *k > fewest => Some(k),
        _ => None,
    }) {
        anyhow::bail!(
            "--top {k} is more than the {fewest} children that both tables have; lower it, or give a share as `5%`"
        );
    }

    let bootstrap =
        Bootstrap { replicates: arguments.bootstrap, confidence: arguments.confidence, seed: arguments.seed };
    let options = MetricsOptions { top: arguments.top.clone(), bootstrap, last: arguments.last as usize };
    let report = Report {
        truth: TableReport::of(&truth, lower_truth),
        second_truth: second.as_ref().map(|second| TableReport::of(second, lower_truth)),
        predicted: TableReport {
            file: predicted.path.display().to_string(),
            column: predicted.value.clone(),
            lower_is_better: lower_prediction,
            runs: predicted.groups.iter().map(|group| group.runs.len()).max().unwrap_or(0),
            children: None,
        },
        space: space.as_ref().map(|space| space.name.clone()),
        bootstrap: BootstrapReport {
            replicates: bootstrap.replicates,
            confidence: bootstrap.confidence,
            seed: bootstrap.seed,
        },
        results: joined.iter().map(|joined| metrics(joined, space.as_ref(), &options)).collect(),
    };
    let plots = match &arguments.plots {
        None => Vec::new(),
        Some(folder) => plots::draw(folder, &report, &joined, &bootstrap)?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print::report(&report, &joined, options.last);
        plots.iter().for_each(|path| println!("Stored in {}", path.display()));
    }
    Ok(())
}

/// A number of children, or a percentage of them.
fn top(text: &str) -> Result<Top, String> {
    let top = match text.trim().strip_suffix('%') {
        None => text.trim().parse().ok().filter(|&count| count > 0).map(Top::Children),
        Some(percent) => {
            let percent = percent.trim().parse().ok().filter(|percent: &f64| *percent > 0.0 && *percent <= 100.0);
            percent.map(|percent| Top::Share(percent / 100.0))
        }
    };
    top.ok_or_else(|| "give a number of children from 1, or a share from above 0 to 100 as `5%`".to_owned())
}

fn confidence(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(confidence) if confidence > 0.0 && confidence < 1.0 => Ok(confidence),
        _ => Err("give a probability between 0 and 1, such as 0.95".to_owned()),
    }
}
