//! Results as they are printed and written as JSON. An undefined measure is `null` there.

use super::Measure;
use super::bias::{BiasResults, bias};
use super::evaluation::{Evaluation, Values};
use crate::rank::{
    Bootstrap, Interval, PairMean, Ranking, Summary, best_true_rank, co_movement, consecutive_taus, count_of_share,
    gt_taus, noise_ceiling,
};
use crate::space::Space;
use crate::tables::{JoinCounts, Joined, JoinedRun};
use serde::{Serialize, Serializer};

/// Fewest records that a correlation over time is given for.
const FEWEST_MOVING: usize = 3;

/// How many children a top or a bottom is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Top {
    Children(usize),
    /// A fraction of them.
    Share(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetricsOptions {
    /// The K of P@topK, P@bottomK, BR@K and WR@K.
    pub top: Vec<Top>,
    pub bootstrap: Bootstrap,
    /// Records at the end of a run over which means are taken.
    pub last: usize,
}

/// The measures of one regime.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Regime of batch normalization, where the table tells them apart.
    pub norm: Option<String>,
    pub children: usize,
    pub children_without_truth: usize,
    pub children_without_prediction: usize,
    pub children_not_in_every_record: usize,
    pub noise_ceiling: Option<Ceiling>,
    /// A mapping in JSON.
    #[serde(serialize_with = "as_map")]
    pub measures: Vec<(Measure, Measured)>,
    /// Every record of every run, where there are several.
    pub over_time: Vec<RunResults>,
    pub co_movement: Option<CoMovementResults>,
    pub bias: Option<BiasResults>,
}

/// A measure's mean over the runs; alone if there is one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    pub value: Option<f64>,
    /// Bootstrap interval over the children.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Over the runs, or over their pairs for S-Tau of runs; divided by their number.
    pub std: Option<f64>,
    pub lowest: Option<f64>,
    pub highest: Option<f64>,
    /// The value as a multiple of the noise ceiling.
    pub share_of_ceiling: Option<f64>,
}

/// See [`crate::rank::NoiseCeiling`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Stand-alone runs of the truth, or 2: the truth and its second measurement.
    pub runs: usize,
    /// Children that have all of them.
    pub children: usize,
    pub run_with_others: f64,
    pub run_with_others_std: f64,
    pub run_with_run: f64,
    pub run_with_run_std: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResults {
    /// `None` where the table names no runs.
    pub run: Option<String>,
    pub records: Vec<RecordResults>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordResults {
    pub record: String,
    pub gt_tau: Option<f64>,
    /// Tau with the record before.
    pub consecutive_tau: Option<f64>,
    pub top_1_rank: Option<u32>,
    pub top_3_rank: Option<u32>,
}

/// Mean correlation of the accuracy series of two children; see [`crate::rank::co_movement`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoMovementResults {
    pub all: PairCorrelation,
    /// By the number of candidates that they share, from 0.
    pub by_shared_candidates: Vec<PairCorrelation>,
    pub by_edge: Vec<EdgeCorrelation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairCorrelation {
    pub pairs: u64,
    pub correlation: Option<f64>,
}

/// Of the pairs that share the candidate of an edge, and of those that do not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EdgeCorrelation {
    pub edge: String,
    pub shared: PairCorrelation,
    pub different: PairCorrelation,
}

/// Measures one regime. The space gives co-movement and bias their candidates.
pub fn metrics(joined: &Joined, space: Option<&Space>, options: &MetricsOptions) -> Results {
    let evaluation = Evaluation::of(joined, options.last);
    let children = evaluation.children();
    let mut tops: Vec<usize> = Vec::new();
    for top in &options.top {
        let count = match *top {
            Top::Children(count) => count.min(children),
            Top::Share(share) => count_of_share(children, share),
        };
        if !tops.contains(&count) {
            tops.push(count);
        }
    }
    let ceiling = ceiling(joined);
    let correlations = evaluation.correlations();
    let intervals = options.bootstrap.intervals(children, |sample| {
        evaluation.gather(sample).correlations().iter().map(|(_, runs)| mean(runs)).collect()
    });
    let intervals = intervals.into_iter().chain(std::iter::repeat(None));
    let correlated =
        correlations.into_iter().zip(intervals).map(|(values, interval)| measured(values, interval, ceiling));
    let positions = evaluation.positions(&tops).into_iter().map(|values| measured(values, None, ceiling));
    let JoinCounts { without_truth, without_prediction, incomplete, .. } = joined.counts;
    Results {
        norm: joined.norm.clone(),
        children,
        children_without_truth: without_truth,
        children_without_prediction: without_prediction,
        children_not_in_every_record: incomplete,
        noise_ceiling: ceiling,
        measures: correlated.chain(positions).collect(),
        over_time: over_time(joined),
        co_movement: movement(joined, space),
        bias: bias(joined, space),
    }
}

fn mean(runs: &[Option<f64>]) -> Option<f64> {
    Summary::of(runs).map(|summary| summary.mean)
}

fn measured((measure, runs): Values, interval: Option<Interval>, ceiling: Option<Ceiling>) -> (Measure, Measured) {
    let summary = Summary::of(&runs);
    let interval = interval.filter(|_| measure.has_interval());
    let spread = summary.filter(|_| runs.len() > 1);
    let ceiling = ceiling.filter(|ceiling| measure.compares_with_ceiling() && ceiling.run_with_others > 0.0);
    let measured = Measured {
        value: summary.map(|summary| summary.mean),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        std: spread.map(|spread| spread.std),
        lowest: spread.map(|spread| spread.lowest),
        highest: spread.map(|spread| spread.highest),
        share_of_ceiling: summary.zip(ceiling).map(|(summary, ceiling)| summary.mean / ceiling.run_with_others),
    };
    (measure, measured)
}

fn ceiling(joined: &Joined) -> Option<Ceiling> {
    let ceiling = noise_ceiling(&joined.truth_runs)?;
    Some(Ceiling {
        runs: joined.truth_runs.len(),
        children: joined.truth_runs.first().map_or(0, Vec::len),
        run_with_others: ceiling.run_with_others.mean,
        run_with_others_std: ceiling.run_with_others.std,
        run_with_run: ceiling.run_with_run.mean,
        run_with_run_std: ceiling.run_with_run.std,
    })
}

fn over_time(joined: &Joined) -> Vec<RunResults> {
    let truth = Ranking::of(&joined.truth);
    let several = joined.runs.iter().filter(|run| run.records.len() > 1);
    several.map(|run| RunResults { run: run.name.clone(), records: records(run, &truth) }).collect()
}

fn records(run: &JoinedRun, truth: &Ranking) -> Vec<RecordResults> {
    let rankings: Vec<Ranking> = run.records.iter().map(|record| Ranking::of(record)).collect();
    let before = std::iter::once(None).chain(consecutive_taus(&rankings));
    let taus = gt_taus(&rankings, truth).into_iter().zip(before);
    run.record_names
        .iter()
        .zip(&rankings)
        .zip(taus)
        .map(|((name, ranking), (gt_tau, consecutive_tau))| RecordResults {
            record: name.clone(),
            gt_tau,
            consecutive_tau,
            top_1_rank: best_true_rank(truth, ranking, 1),
            top_3_rank: best_true_rank(truth, ranking, 3),
        })
        .collect()
}

/// Of the first run; series of other runs are of other supernets.
fn movement(joined: &Joined, space: Option<&Space>) -> Option<CoMovementResults> {
    let run = joined.runs.first().filter(|run| run.records.len() >= FEWEST_MOVING)?;
    let children = 0..joined.children.len();
    let series: Vec<Vec<f64>> =
        children.map(|child| run.records.iter().map(|record| record[child]).collect()).collect();
    let choices: Option<Vec<&[u8]>> =
        joined.children.iter().map(|name| name.child.as_ref().map(|child| child.0.as_slice())).collect();
    let movement = co_movement(&series, &choices.unwrap_or_default());
    let edges = space.map(Space::edge_names).unwrap_or_default();
    let sides = movement.shared_at.iter().zip(&movement.different_at);
    let by_edge = edges.into_iter().zip(sides).map(|(edge, (shared, different))| EdgeCorrelation {
        edge,
        shared: shared.into(),
        different: different.into(),
    });
    Some(CoMovementResults {
        all: (&movement.all).into(),
        by_shared_candidates: movement.by_shared.iter().map(PairCorrelation::from).collect(),
        by_edge: by_edge.collect(),
    })
}

impl From<&PairMean> for PairCorrelation {
    fn from(mean: &PairMean) -> Self {
        Self { pairs: mean.pairs, correlation: mean.mean() }
    }
}

fn as_map<S: Serializer>(measures: &[(Measure, Measured)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(measures.iter().map(|(measure, measured)| (measure.key(), measured)))
}
