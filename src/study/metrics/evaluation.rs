//! A truth and the runs of a prediction, ranked once and measured often: as they are, and as bootstrap samples.

use super::Measure;
use crate::rank::{
    Ranking, Summary, averaged, best_true_rank, consecutive_taus, count_of_share, gt_taus, pairwise_taus, pearson,
    precision_at_bottom, precision_at_top, rounded, s_tau, spearman, surpass_random, tau_b, tau_inside_top,
    worst_true_rank,
};
use crate::tables::Joined;

/// Shares of the true best children, in percent, inside of which tau is measured.
const INSIDE_TOP: [u32; 3] = [50, 20, 10];
/// The n of TnR.
const TOP_RANKS: [usize; 2] = [1, 3];
/// 0.1 %, of a truth that is a fraction; children closer than this are tied in sparse tau.
const SPARSE_STEP: f64 = 0.001;

/// A measure, and its value for every run; S-Tau of runs has one for every pair of them.
pub type Values = (Measure, Vec<Option<f64>>);

/// Values of the children and their order.
struct Scores {
    values: Vec<f64>,
    ranking: Ranking,
}

struct Run {
    last: Scores,
    /// The last records, the last one included.
    records: Vec<Ranking>,
    /// Of the mean over these records.
    ensemble: Ranking,
}

pub struct Evaluation {
    truth: Scores,
    sparse_truth: Ranking,
    runs: Vec<Run>,
}

impl Evaluation {
    /// Ranks everything; of every run the last `last` records.
    pub fn of(joined: &Joined, last: usize) -> Self {
        let runs = joined.runs.iter().map(|run| {
            let records = &run.records[run.records.len() - last.clamp(1, run.records.len())..];
            Run {
                last: Scores::of(records[records.len() - 1].clone()),
                records: records.iter().map(|record| Ranking::of(record)).collect(),
                ensemble: Ranking::of(&averaged(records)),
            }
        });
        Self {
            sparse_truth: Ranking::of(&rounded(&joined.truth, SPARSE_STEP * unit(&joined.truth))),
            truth: Scores::of(joined.truth.clone()),
            runs: runs.collect(),
        }
    }

    pub fn children(&self) -> usize {
        self.truth.values.len()
    }

    /// The same of a part of the children, or of a sample with repetitions.
    pub fn gather(&self, sample: &[u32]) -> Self {
        let gather_run = |run: &Run| Run {
            last: run.last.gather(sample),
            records: run.records.iter().map(|record| record.gather(sample)).collect(),
            ensemble: run.ensemble.gather(sample),
        };
        Self {
            truth: self.truth.gather(sample),
            sparse_truth: self.sparse_truth.gather(sample),
            runs: self.runs.iter().map(gather_run).collect(),
        }
    }

    /// The measures that have a bootstrap interval.
    pub fn correlations(&self) -> Vec<Values> {
        let truth = &self.truth.ranking;
        let inside = INSIDE_TOP.map(|percent| {
            let share = f64::from(percent) / 100.0;
            let measure = Measure::TauInsideTop { percent, children: count_of_share(self.children(), share) };
            (measure, self.each(|run| tau_inside_top(truth, &run.last.ranking, share)))
        });
        let mut values = vec![
            (Measure::Tau, self.each(|run| tau_b(truth, &run.last.ranking))),
            (Measure::Spearman, self.each(|run| spearman(truth, &run.last.ranking))),
            (Measure::Pearson, self.each(|run| pearson(&self.truth.values, &run.last.values))),
            (Measure::SparseTau, self.each(|run| tau_b(&self.sparse_truth, &run.last.ranking))),
        ];
        values.extend(inside);
        if self.runs.len() > 1 {
            let last: Vec<Ranking> = self.runs.iter().map(|run| run.last.ranking.clone()).collect();
            values.push((Measure::RunsSTau { runs: self.runs.len() }, pairwise_taus(&last)));
        }
        if let Some(last) = self.several_records() {
            let gt_tau = |run: &Run| Summary::of(&gt_taus(&run.records, truth));
            let consecutive = |run: &Run| Summary::of(&consecutive_taus(&run.records)).map(|taus| taus.mean);
            values.extend([
                (Measure::GtTauMean { last }, self.each(|run| gt_tau(run).map(|taus| taus.mean))),
                (Measure::GtTauStd { last }, self.each(|run| gt_tau(run).map(|taus| taus.std))),
                (Measure::RecordsSTau { last }, self.each(|run| s_tau(&run.records))),
                (Measure::ConsecutiveTau { last }, self.each(consecutive)),
                (Measure::EnsembleTau { last }, self.each(|run| tau_b(truth, &run.ensemble))),
            ]);
        }
        values
    }

    /// The measures that speak of ranks among all children, which a sample with repetitions does not have.
    pub fn positions(&self, tops: &[usize]) -> Vec<Values> {
        let truth = &self.truth.ranking;
        let rank = |rank: Option<u32>| rank.map(f64::from);
        let mut values = Vec::new();
        for n in TOP_RANKS {
            let best = |run: &Run| rank(best_true_rank(truth, &run.last.ranking, n));
            values.push((Measure::TopTrueRank { n }, self.each(best)));
        }
        for &k in tops {
            let precision = |run: &Run| precision_at_top(truth, &run.last.ranking, k);
            values.push((Measure::PrecisionAtTop { k }, self.each(precision)));
            let precision = |run: &Run| precision_at_bottom(truth, &run.last.ranking, k);
            values.push((Measure::PrecisionAtBottom { k }, self.each(precision)));
            let best = |run: &Run| rank(best_true_rank(truth, &run.last.ranking, k));
            values.push((Measure::BestTrueRank { k }, self.each(best)));
            let worst = |run: &Run| rank(worst_true_rank(truth, &run.last.ranking, k));
            values.push((Measure::WorstTrueRank { k }, self.each(worst)));
        }
        let others = tops.iter().copied().filter(|k| !TOP_RANKS.contains(k));
        for n in TOP_RANKS.into_iter().chain(others) {
            let surpass = |run: &Run| surpass_random(truth, &run.last.ranking, n);
            values.push((Measure::SurpassRandom { n }, self.each(surpass)));
        }
        if let Some(last) = self.several_records() {
            for n in TOP_RANKS {
                let best = |record: &Ranking| rank(best_true_rank(truth, record, n));
                let mean = |run: &Run| {
                    let ranks: Vec<Option<f64>> = run.records.iter().map(best).collect();
                    Summary::of(&ranks).map(|ranks| ranks.mean)
                };
                values.push((Measure::MeanTopTrueRank { n, last }, self.each(mean)));
            }
        }
        values
    }

    fn each(&self, measure: impl Fn(&Run) -> Option<f64>) -> Vec<Option<f64>> {
        self.runs.iter().map(measure).collect()
    }

    /// The number of records looked at, if all runs have more than one.
    fn several_records(&self) -> Option<usize> {
        let fewest = self.runs.iter().map(|run| run.records.len()).min()?;
        let most = self.runs.iter().map(|run| run.records.len()).max()?;
        (fewest > 1).then_some(most)
    }
}

impl Scores {
    fn of(values: Vec<f64>) -> Self {
        Self { ranking: Ranking::of(&values), values }
    }

    fn gather(&self, sample: &[u32]) -> Self {
        let values = sample.iter().map(|&child| self.values[child as usize]).collect();
        Self { values, ranking: self.ranking.gather(sample) }
    }
}

/// 1 for fractions, 100 for percentages: accuracies above 1 are no fractions.
pub fn unit(accuracies: &[f64]) -> f64 {
    if accuracies.iter().all(|accuracy| accuracy.abs() <= 1.0) { 1.0 } else { 100.0 }
}
