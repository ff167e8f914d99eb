//! How rankings of the same children agree with each other and with the truth, over records, runs or orders.
//! Zhang et al., "Deeper Insights into Weight Sharing in Neural Architecture Search" (arXiv 2001.01431).

use super::{Ranking, Summary, tau_b};

/// Tau-b of every pair i < j of rankings.
pub fn pairwise_taus(rankings: &[Ranking]) -> Vec<Option<f64>> {
    let pairs = rankings.iter().enumerate().flat_map(|(i, a)| rankings[i + 1..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| tau_b(a, b)).collect()
}

/// S-Tau: 2 / (N (N - 1)) times the sum over i < j of the tau-b of rankings i and j. `None` for fewer than two rankings, or where the
/// tau of a pair is undefined.
pub fn s_tau(rankings: &[Ranking]) -> Option<f64> {
    Summary::of(&pairwise_taus(rankings)).map(|summary| summary.mean)
}

/// GT-Tau of every record: its tau-b with the truth. GT-Tau-Mean-k and GT-Tau-Std-k are [`Summary::of`] the last k of them.
pub fn gt_taus(records: &[Ranking], truth: &Ranking) -> Vec<Option<f64>> {
    records.iter().map(|record| tau_b(record, truth)).collect()
}

/// Tau-b of every record with the one before it: one fewer than there are records.
pub fn consecutive_taus(records: &[Ranking]) -> Vec<Option<f64>> {
    records.windows(2).map(|pair| tau_b(&pair[0], &pair[1])).collect()
}

/// The temporal ensemble: the mean of every child's values (`records[t][child]`) over the records.
pub fn averaged(records: &[Vec<f64>]) -> Vec<f64> {
    let children = records.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |child: usize| records.iter().map(|record| record[child]).sum::<f64>() / records.len() as f64;
    (0..children).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_tau_is_the_mean_over_all_pairs() {
        let up = Ranking::of(&[1.0, 2.0, 3.0]);
        let down = Ranking::of(&[3.0, 2.0, 1.0]);
        // Pairs: (up, up) 1, and twice (up, down) -1.
        let taus = pairwise_taus(&[up.clone(), up.clone(), down.clone()]);
        assert_eq!(taus, [Some(1.0), Some(-1.0), Some(-1.0)]);
        let mean = s_tau(&[up.clone(), up.clone(), down.clone()]).expect("defined");
        assert!((mean + 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(s_tau(std::slice::from_ref(&up)), None);
        assert_eq!(s_tau(&[up.clone(), Ranking::of(&[1.0; 3])]), None);
        assert_eq!(consecutive_taus(&[up.clone(), up.clone(), down.clone()]), [Some(1.0), Some(-1.0)]);
        assert_eq!(gt_taus(&[up.clone(), down], &up), [Some(1.0), Some(-1.0)]);
    }

    #[test]
    fn the_ensemble_averages_each_child() {
        assert_eq!(averaged(&[vec![1.0, 5.0], vec![3.0, 5.0]]), [2.0, 5.0]);
        assert!(averaged(&[]).is_empty());
    }
}
