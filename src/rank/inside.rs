//! Tau where it matters: inside the true top, and without differences that are noise.

use super::{Ranking, tau_b};

/// How many of `items` a share of them is: rounded, and at least one where there is any.
pub fn count_of_share(items: usize, share: f64) -> usize {
    ((items as f64 * share).round() as usize).clamp(items.min(1), items)
}

/// The items whose truth is among the best `share` (a fraction), best first; at its edge, tied items in their order.
pub fn true_top(truth: &Ranking, share: f64) -> Vec<u32> {
    let mut order = truth.best_first();
    order.truncate(count_of_share(truth.len(), share));
    order
}

/// Kendall's tau-b among the true best `share` of the items. Tau over all items is carried by the bad ones, which are easy to tell
/// apart: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures" (NeurIPS 2021).
///
/// `None` as [`tau_b`].
pub fn tau_inside_top(truth: &Ranking, predicted: &Ranking, share: f64) -> Option<f64> {
    let top = true_top(truth, share);
    tau_b(&truth.gather(&top), &predicted.gather(&top))
}

/// Every value as the nearest whole multiple of `step`, counted in steps. Tau-b against a truth that is rounded to 0.1 % is the sparse
/// Kendall tau of Yu et al., "How to Train Your Super-Net" (arXiv 2003.04276): children closer than that count as tied.
pub fn rounded(values: &[f64], step: f64) -> Vec<f64> {
    values.iter().map(|value| (value / step).round()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_can_disagree_where_all_agree() {
        let truth = Ranking::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let predicted = Ranking::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 7.0]);
        assert_eq!(tau_inside_top(&truth, &predicted, 0.25), Some(-1.0));
        assert!(tau_b(&truth, &predicted).expect("defined") > 0.9);
        assert_eq!(tau_inside_top(&truth, &predicted, 1.0), tau_b(&truth, &predicted));
        assert_eq!(tau_inside_top(&truth, &predicted, 0.1), None, "one child has no order");
    }

    #[test]
    fn a_share_of_few_items_is_at_least_one() {
        assert_eq!([0.5, 0.2, 0.1, 0.0, 1.0].map(|share| count_of_share(64, share)), [32, 13, 6, 1, 64]);
        assert_eq!(count_of_share(0, 0.5), 0);
    }

    #[test]
    fn differences_below_the_step_are_ties() {
        assert_eq!(rounded(&[0.7014, 0.7006, 0.7016], 0.001), [701.0, 701.0, 702.0]);
    }
}
