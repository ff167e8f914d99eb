//! The plots of `--plots`.

use super::{Report, TableReport};
use crate::rank::{Bootstrap, Ranking, averaged, true_top};
use crate::report::{CurvePoint, Scatter, TauCurve, scatter, tau_curve};
use crate::study::metrics::{Measure, Results, top_curve};
use crate::tables::Joined;
use std::path::{Path, PathBuf};

/// Share of the true best children that the scatter plot highlights.
const HIGHLIGHTED_SHARE: f64 = 0.1;

/// Draws both plots of every regime into a folder, which is made if need be; returns their paths.
pub fn draw(folder: &Path, report: &Report, joined: &[Joined], bootstrap: &Bootstrap) -> anyhow::Result<Vec<PathBuf>> {
    super::super::checkpoint::make_folder(folder)?;
    let mut written = Vec::new();
    for (results, joined) in report.results.iter().zip(joined) {
        let suffix = results.norm.as_ref().map(|norm| format!("-{norm}")).unwrap_or_default();
        let path = folder.join(format!("scatter{suffix}.svg"));
        scatter(&path, &scatter_plot(report, results, joined))?;
        written.push(path);
        let path = folder.join(format!("tau-inside-top{suffix}.svg"));
        tau_curve(&path, &curve_plot(results, joined, bootstrap))?;
        written.push(path);
    }
    Ok(written)
}

fn scatter_plot(report: &Report, results: &Results, joined: &Joined) -> Scatter {
    let last: Vec<Vec<f64>> = joined.runs.iter().filter_map(|run| run.records.last().cloned()).collect();
    let predicted = averaged(&last);
    let (truth_label, truth) = percentages(&report.truth, &joined.truth);
    let (predicted_label, predicted) = percentages(&report.predicted, &predicted);
    let top = true_top(&Ranking::of(&joined.truth), HIGHLIGHTED_SHARE);
    let mean = if joined.runs.len() > 1 { "mean " } else { "" };
    let tau = results.measures.iter().find(|(measure, _)| *measure == Measure::Tau);
    let tau = tau.and_then(|(_, tau)| tau.value).map(|tau| format!(", {mean}tau-b {tau:.3}")).unwrap_or_default();
    Scatter {
        title: "Prediction against truth".to_owned(),
        subtitle: format!("{}{tau}", about(results, joined)),
        truth_label: format!("truth: {truth_label}"),
        predicted_label: format!("predicted: {predicted_label}"),
        points: truth.into_iter().zip(predicted).collect(),
        highlight_label: format!("true top {} %", 100.0 * HIGHLIGHTED_SHARE),
        highlighted: top.into_iter().map(|child| child as usize).collect(),
    }
}

fn curve_plot(results: &Results, joined: &Joined, bootstrap: &Bootstrap) -> TauCurve {
    let curve = top_curve(joined, bootstrap);
    let points = curve.points.iter().filter_map(|point| {
        Some(CurvePoint { percent: point.percent as f64, tau: point.tau?, interval: point.low.zip(point.high) })
    });
    let band = match bootstrap.replicates {
        0 => String::new(),
        _ => format!("; band: {} % bootstrap interval", 100.0 * bootstrap.confidence),
    };
    TauCurve {
        title: "Rank agreement inside the true top".to_owned(),
        subtitle: format!("{}{band}", about(results, joined)),
        points: points.collect(),
    }
}

/// Children, runs and regime.
fn about(results: &Results, joined: &Joined) -> String {
    let runs = if joined.runs.len() > 1 { format!(", mean of {} runs", joined.runs.len()) } else { String::new() };
    let norm = results.norm.as_ref().map(|norm| format!(", {norm} statistics")).unwrap_or_default();
    format!("{} children{runs}{norm}", results.children)
}

/// The label of an axis and its values: percentages where they can be accuracies, else as they are; as in the table where the lowest is the best.
fn percentages(table: &TableReport, values: &[f64]) -> (String, Vec<f64>) {
    if table.lower_is_better {
        return (format!("{} (lower is better)", table.column), values.iter().map(|value| -value).collect());
    }
    let within = |most: f64| values.iter().all(|value| (0.0..=most).contains(value));
    let factor = if within(1.0) { 100.0 } else { 1.0 };
    let unit = if within(100.0) { " (%)" } else { "" };
    (format!("{}{unit}", table.column), values.iter().map(|value| factor * value).collect())
}
