//! Tau as a function of how much of the true top is looked at.

use crate::rank::{Bootstrap, Ranking, Summary, count_of_share, tau_inside_top};
use crate::tables::Joined;

/// Steps of the share, in percent.
const STEP_PERCENT: usize = 5;
/// Fewest children that a point is drawn for; tau of fewer is mostly noise.
const FEWEST_CHILDREN: usize = 5;

/// Mean over the runs of the tau of their last records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopCurve {
    pub points: Vec<TopPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopPoint {
    pub percent: usize,
    pub children: usize,
    pub tau: Option<f64>,
    /// Bootstrap interval over the children.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Tau inside the true best 5, 10, 15 .. 100 % that are at least five children.
pub fn top_curve(joined: &Joined, bootstrap: &Bootstrap) -> TopCurve {
    let truth = Ranking::of(&joined.truth);
    let runs: Vec<Ranking> =
        joined.runs.iter().filter_map(|run| run.records.last()).map(|record| Ranking::of(record)).collect();
    let children = truth.len();
    let share = |percent: usize| percent as f64 / 100.0;
    let percents: Vec<usize> = (STEP_PERCENT..=100)
        .step_by(STEP_PERCENT)
        .filter(|&percent| count_of_share(children, share(percent)) >= FEWEST_CHILDREN)
        .collect();
    let taus = |truth: &Ranking, runs: &[Ranking]| -> Vec<Option<f64>> {
        let inside = |percent: usize| -> Vec<Option<f64>> {
            runs.iter().map(|run| tau_inside_top(truth, run, share(percent))).collect()
        };
        percents.iter().map(|&percent| Summary::of(&inside(percent)).map(|taus| taus.mean)).collect()
    };
    let intervals = bootstrap.intervals(children, |sample| {
        let runs: Vec<Ranking> = runs.iter().map(|run| run.gather(sample)).collect();
        taus(&truth.gather(sample), &runs)
    });
    let intervals = intervals.into_iter().chain(std::iter::repeat(None));
    let points = percents.iter().zip(taus(&truth, &runs)).zip(intervals).map(|((&percent, tau), interval)| TopPoint {
        percent,
        children: count_of_share(children, share(percent)),
        tau,
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
    });
    TopCurve { points: points.collect() }
}
