//! The noise ceiling: how well a child trained alone predicts a child trained alone.

use super::{Ranking, Summary, averaged, pairwise_taus, tau_b};

/// How several stand-alone runs agree. No prediction can be expected to agree with the truth better than they do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseCeiling {
    /// Over runs i: tau-b of run i with the mean accuracy of the others. Comparable to the GT-Tau of one prediction.
    pub run_with_others: Summary,
    /// Over pairs of runs: their tau-b. Its mean is the S-Tau of the truth.
    pub run_with_run: Summary,
}

/// The ceiling of stand-alone runs, `runs[run][child]`; leave-one-out and pairwise after Zhang et al. (arXiv 2001.01431), whose truth
/// still contained the run compared with it. `None` for fewer than two runs, or where a tau is undefined.
pub fn noise_ceiling(runs: &[Vec<f64>]) -> Option<NoiseCeiling> {
    let with_others: Vec<Option<f64>> = (0..runs.len())
        .map(|left_out| {
            let mut others = runs.to_vec();
            let run = others.remove(left_out);
            tau_b(&Ranking::of(&run), &Ranking::of(&averaged(&others)))
        })
        .collect();
    let rankings: Vec<Ranking> = runs.iter().map(|run| Ranking::of(run)).collect();
    Some(NoiseCeiling {
        run_with_others: Summary::of(&with_others)?,
        run_with_run: Summary::of(&pairwise_taus(&rankings))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_compared_with_the_mean_of_the_others_alone() {
        let runs = [vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 1.5]];
        // The third against the rising mean of the first two: -1. Each of those against (2, 2, 2.25): ties in one pair of three.
        let ceiling = noise_ceiling(&runs).expect("defined");
        let others = (2.0 * (2.0 / 6.0_f64.sqrt()) - 1.0) / 3.0;
        assert!((ceiling.run_with_others.mean - others).abs() < 1e-15);
        assert!((ceiling.run_with_run.mean + 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(noise_ceiling(&runs[..1]), None);
    }
}
