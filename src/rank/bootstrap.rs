//! Percentile bootstrap over the items: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979).

use crate::rng::{Purpose, Stream};
use rayon::prelude::*;

/// Share of the replicates that must be defined for an interval to be given.
const DEFINED_SHARE: f64 = 0.9;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// 0 gives no intervals.
    pub replicates: u32,
    /// Probability that the interval covers, between 0 and 1.
    pub confidence: f64,
    pub seed: u64,
}

/// The middle `confidence` of the replicates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Bootstrap {
    /// Intervals of several statistics of `items` items. Each replicate draws as many items with repetition, from a random stream of
    /// its own, and hands them to `statistics`, which returns the same number of values every time. The bits depend on neither
    /// threads nor their order.
    ///
    /// An undefined replicate is left out; a statistic that is undefined in more than a tenth of them has no interval. An item drawn
    /// twice is tied with itself on both sides, which tau-b leaves out of account.
    pub fn intervals(
        &self,
        items: usize,
        statistics: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
    ) -> Vec<Option<Interval>> {
        let replicates: Vec<Vec<Option<f64>>> = (0..self.replicates)
            .into_par_iter()
            .map(|replicate| {
                let mut stream = Stream::new(self.seed, Purpose::Bootstrap, u64::from(replicate), 0);
                let sample: Vec<u32> = (0..items).map(|_| stream.bounded(items as u32)).collect();
                statistics(&sample)
            })
            .collect();
        let count = replicates.iter().map(Vec::len).min().unwrap_or(0);
        (0..count).map(|index| self.interval(replicates.iter().filter_map(|values| values[index]).collect())).collect()
    }

    fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        if values.is_empty() || (values.len() as f64) < DEFINED_SHARE * f64::from(self.replicates) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
    }
}

/// Linear interpolation between the order statistics, as NumPy does unless told otherwise.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = probability.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::{Ranking, tau_b};

    const BOOTSTRAP: Bootstrap = Bootstrap { replicates: 400, confidence: 0.95, seed: 3 };

    fn intervals_on(threads: usize) -> Vec<Option<Interval>> {
        let values =
            |offset: u32| -> Vec<f64> { (0..64u32).map(|i| f64::from((i * 37 + offset * i * i) % 64)).collect() };
        let (a, b) = (Ranking::of(&values(0)), Ranking::of(&values(1)));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| BOOTSTRAP.intervals(64, |sample| vec![tau_b(&a.gather(sample), &b.gather(sample))]))
    }

    #[test]
    fn intervals_do_not_depend_on_threads() {
        let one = intervals_on(1);
        assert!(one[0].is_some());
        assert_eq!(one, intervals_on(3));
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_that_theory_gives() {
        // The mean of n items with standard deviation s has the standard error s / sqrt(n): 1.96 of them on either side.
        let (items, deviation) = (400_u32, (f64::from(400 * 400 - 1) / 12.0).sqrt());
        let mean =
            |sample: &[u32]| vec![Some(sample.iter().map(|&item| f64::from(item)).sum::<f64>() / f64::from(items))];
        let interval = Bootstrap { replicates: 4000, ..BOOTSTRAP }.intervals(items as usize, mean)[0].expect("defined");
        let expected = 2.0 * 1.96 * deviation / f64::from(items).sqrt();
        assert!(((interval.high - interval.low) / expected - 1.0).abs() < 0.05, "{interval:?}, {expected}");
        assert!(((interval.low + interval.high) / 2.0 - 199.5).abs() < 1.0, "{interval:?}");
    }

    #[test]
    fn what_is_mostly_undefined_has_no_interval() {
        let sometimes = |sample: &[u32]| vec![(sample[0] == 0).then_some(1.0), None, Some(2.0)];
        assert_eq!(BOOTSTRAP.intervals(4, sometimes), [None, None, Some(Interval { low: 2.0, high: 2.0 })]);
        assert!(Bootstrap { replicates: 0, ..BOOTSTRAP }.intervals(4, sometimes).is_empty());
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.975), 1.0);
    }
}
