//! Co-movement: do children that share candidates rise and fall together while a supernet trains? Zhang et al. (arXiv 2001.01431).

use super::correlation::standardized;
use rayon::prelude::*;

/// Mean Pearson correlation over a set of pairs of children.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairMean {
    /// Pairs with a defined correlation.
    pub pairs: u64,
    sum: f64,
}

impl PairMean {
    /// `None` without a pair.
    pub fn mean(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.sum / self.pairs as f64)
    }

    fn add(&mut self, correlation: f64) {
        self.pairs += 1;
        self.sum += correlation;
    }

    fn merge(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.sum += other.sum;
    }
}

/// Correlations of the accuracy series of all pairs of children, averaged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoMovement {
    pub all: PairMean,
    /// By the number of candidates that the two share, from 0.
    pub by_shared: Vec<PairMean>,
    /// For every position: pairs that share the candidate there.
    pub shared_at: Vec<PairMean>,
    /// For every position: pairs that differ there.
    pub different_at: Vec<PairMean>,
}

impl CoMovement {
    fn merge(mut self, other: &Self) -> Self {
        self.all.merge(&other.all);
        for (own, others) in [
            (&mut self.by_shared, &other.by_shared),
            (&mut self.shared_at, &other.shared_at),
            (&mut self.different_at, &other.different_at),
        ] {
            own.resize(own.len().max(others.len()), PairMean::default());
            own.iter_mut().zip(others).for_each(|(own, other)| own.merge(other));
        }
        self
    }
}

/// Correlates `series[child][record]` for all pairs of children, in O(children^2 (records + positions)). `choices[child]` holds the
/// candidate of every edge; empty if they are not known, which leaves [`CoMovement::all`] alone.
///
/// A child whose accuracy never changes has no correlation and is left out.
pub fn co_movement(series: &[Vec<f64>], choices: &[&[u8]]) -> CoMovement {
    let children: Vec<(Vec<f64>, &[u8])> = series
        .iter()
        .enumerate()
        .filter_map(|(child, values)| Some((standardized(values)?, choices.get(child).copied().unwrap_or_default())))
        .collect();
    let rows: Vec<CoMovement> = (0..children.len()).into_par_iter().map(|child| row(&children, child)).collect();
    rows.iter().fold(CoMovement::default(), CoMovement::merge)
}

/// The pairs of one child with those after it.
fn row(children: &[(Vec<f64>, &[u8])], child: usize) -> CoMovement {
    let (own_series, own_choices) = &children[child];
    let positions = own_choices.len();
    let (none, lengths) = (PairMean::default(), if positions == 0 { 0 } else { positions + 1 });
    let mut row = CoMovement {
        all: none,
        by_shared: vec![none; lengths],
        shared_at: vec![none; positions],
        different_at: vec![none; positions],
    };
    for (series, choices) in &children[child + 1..] {
        let correlation: f64 = own_series.iter().zip(series).map(|(a, b)| a * b).sum();
        row.all.add(correlation);
        let mut shared = 0;
        for (position, (own, other)) in own_choices.iter().zip(*choices).enumerate() {
            let side = if own == other { &mut row.shared_at } else { &mut row.different_at };
            side[position].add(correlation);
            shared += usize::from(own == other);
        }
        if let Some(group) = row.by_shared.get_mut(shared) {
            group.add(correlation);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_averaged_by_what_they_share() {
        let up = vec![1.0, 2.0, 3.0];
        let down = vec![0.3, 0.2, 0.1];
        let flat = vec![0.5; 3];
        let choices: [&[u8]; 4] = [&[0, 0], &[0, 1], &[1, 0], &[0, 0]];
        let movement = co_movement(&[up.clone(), up, down, flat], &choices);
        let mean = |pairs: &PairMean| pairs.mean().map(|mean| (mean * 1e9).round() / 1e9);
        assert_eq!(movement.all.pairs, 3, "the child that never changes has no correlation");
        assert_eq!(mean(&movement.all), Some(-0.333_333_333));
        assert_eq!(movement.by_shared.iter().map(mean).collect::<Vec<_>>(), [Some(-1.0), Some(0.0), None]);
        assert_eq!(movement.shared_at.iter().map(mean).collect::<Vec<_>>(), [Some(1.0), Some(-1.0)]);
        assert_eq!(movement.different_at.iter().map(mean).collect::<Vec<_>>(), [Some(-1.0), Some(0.0)]);
    }

    #[test]
    fn without_choices_only_the_mean_over_all_pairs_is_known() {
        let movement = co_movement(&[vec![1.0, 2.0], vec![2.0, 4.0]], &[]);
        assert!((movement.all.mean().expect("a pair") - 1.0).abs() < 1e-12);
        assert!(movement.by_shared.is_empty() && movement.shared_at.is_empty());
    }
}
