//! The report as text.

use super::{Report, TableReport};
use crate::report::Table;
use crate::study::metrics::{
    CandidateBias, Ceiling, CoMovementResults, Form, Measure, Measured, PairCorrelation, RecordResults, Results,
};
use crate::tables::Joined;

/// What stands for a measure that its formula leaves undefined.
const UNDEFINED: &str = "undefined";

/// Prints all regimes. `last` is the number of records that are listed.
pub fn report(report: &Report, joined: &[Joined], last: usize) {
    println!("truth      {}", table(&report.truth));
    println!("predicted  {}", table(&report.predicted));
    for (results, joined) in report.results.iter().zip(joined) {
        print_results(report, results, joined, last);
    }
}

fn table(table: &TableReport) -> String {
    let TableReport { file, column, runs, .. } = table;
    let order = if table.lower_is_better { ", lower is better" } else { "" };
    let runs = if *runs > 1 { format!(", {runs} runs") } else { String::new() };
    format!("{file}, `{column}`{order}{runs}")
}

fn print_results(report: &Report, results: &Results, joined: &Joined, last: usize) {
    let under = results.norm.as_ref().map(|norm| format!(" under {norm} statistics")).unwrap_or_default();
    println!("\n{} children joined{under}{}", results.children, left_out(results));
    if let Some(ceiling) = &results.noise_ceiling {
        let Ceiling { runs, children, run_with_others, run_with_run, .. } = ceiling;
        match &report.second_truth {
            Some(second) => println!(
                "Noise ceiling from the truth and its second measurement in {}, `{}`, of {children} children: tau {run_with_run:.4}",
                second.file, second.column
            ),
            None => println!(
                "Noise ceiling from {runs} stand-alone runs of {children} children: tau {run_with_others:.4} of a run with the mean of the others, {run_with_run:.4} of two runs"
            ),
        }
    }
    println!();
    print!("{}", measures(report, results, joined.runs.len()));
    if let [only] = results.over_time.as_slice() {
        print!("\n{}", over_time(&only.records, last));
    }
    if let Some(movement) = &results.co_movement {
        print!("\n{}", co_movement(movement));
    }
    if let Some(bias) = &results.bias {
        print!("\n{}", candidate_bias(&bias.by_candidates));
        println!("FLOPs with ranks predicted too high: Spearman's rho {}", number(bias.complexity));
    }
}

fn co_movement(movement: &CoMovementResults) -> Table {
    let mut table = Table::new(["co-movement of", "pairs", "mean correlation over time"]);
    let mut row = |name: String, pairs: &PairCorrelation| {
        table.row([name, pairs.pairs.to_string(), number(pairs.correlation)]);
    };
    row("all children".to_owned(), &movement.all);
    for (shared, pairs) in movement.by_shared_candidates.iter().enumerate().filter(|(_, pairs)| pairs.pairs > 0) {
        row(format!("{shared} shared candidates"), pairs);
    }
    for edge in &movement.by_edge {
        row(format!("same candidate on {}", edge.edge), &edge.shared);
        row(format!("another candidate on {}", edge.edge), &edge.different);
    }
    table
}

fn candidate_bias(pairs: &[CandidateBias]) -> Table {
    let mut table =
        Table::new(["children that differ in one candidate", "pairs", "first truly better", "predicted better"]);
    for bias in pairs {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let shares = [bias.better_by_truth, bias.better_by_prediction].map(percent);
        let name = format!("{} or {}", bias.candidate, bias.other);
        table.row([name, bias.pairs.to_string()].into_iter().chain(shares));
    }
    table
}

/// What the join left out, or nothing.
fn left_out(results: &Results) -> String {
    let parts = [
        (results.children_without_prediction, "with a truth but no prediction"),
        (results.children_without_truth, "predicted without a truth"),
        (results.children_not_in_every_record, "missing in some records"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if told.is_empty() { String::new() } else { format!("; left out: {}", told.join(", ")) }
}

fn measures(report: &Report, results: &Results, runs: usize) -> Table {
    let has_intervals = report.bootstrap.replicates > 0;
    let mut header = vec!["measure".to_owned(), "value".to_owned()];
    if has_intervals {
        header.push(format!("{} % interval", 100.0 * report.bootstrap.confidence));
    }
    if runs > 1 {
        header.extend(["std of runs", "lowest", "highest"].map(str::to_owned));
    }
    if results.noise_ceiling.is_some() {
        header.push("of the ceiling".to_owned());
    }
    let mut table = Table::new(header);
    for (measure, measured) in &results.measures {
        let text = |value: Option<f64>| value.map(|value| value_text(*measure, value, runs > 1)).unwrap_or_default();
        let mut row = vec![measure.label(), measured.value.map_or(UNDEFINED.to_owned(), |value| text(Some(value)))];
        if has_intervals {
            row.push(interval(measured));
        }
        if runs > 1 {
            row.extend([measured.std, measured.lowest, measured.highest].map(text));
        }
        if results.noise_ceiling.is_some() {
            row.push(measured.share_of_ceiling.map(|share| format!("{:.1} %", 100.0 * share)).unwrap_or_default());
        }
        table.row(row);
    }
    table
}

fn value_text(measure: Measure, value: f64, is_mean: bool) -> String {
    match measure.form() {
        Form::Correlation => format!("{value:.4}"),
        Form::Rank if is_mean || value.fract() != 0.0 => format!("{value:.1}"),
        Form::Rank => format!("{value:.0}"),
        Form::Share => format!("{:.1} %", 100.0 * value),
    }
}

fn interval(measured: &Measured) -> String {
    measured.low.zip(measured.high).map(|(low, high)| format!("{low:.4} to {high:.4}")).unwrap_or_default()
}

fn number(value: Option<f64>) -> String {
    value.map_or(UNDEFINED.to_owned(), |value| format!("{value:.4}"))
}

fn over_time(records: &[RecordResults], last: usize) -> String {
    let mut table = Table::new(["record", "GT-Tau", "consecutive tau", "T1R", "T3R"]);
    let rank = |rank: Option<u32>| rank.map_or(UNDEFINED.to_owned(), |rank| rank.to_string());
    for (index, record) in records.iter().enumerate().skip(records.len().saturating_sub(last)) {
        let consecutive = if index == 0 { "-".to_owned() } else { number(record.consecutive_tau) };
        let taus = [record.record.clone(), number(record.gt_tau), consecutive];
        table.row(taus.into_iter().chain([rank(record.top_1_rank), rank(record.top_3_rank)]));
    }
    let hidden = records.len().saturating_sub(last);
    if hidden > 0 { format!("The last {last} of {} records:\n{table}", records.len()) } else { table.to_string() }
}
