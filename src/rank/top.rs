//! What a search would get that trusts the predicted ranking. All ranks here are ordinal: each once, tied items in their order.

use super::Ranking;

/// TnR and BR@K: the best true rank (from 1) among the `count` items predicted best. TnR for n = 1 and 3: Zhang et al. (arXiv
/// 2001.01431); BR@K, there divided by the number of items: Ning et al. (NeurIPS 2021). `None` if there are no such items.
pub fn best_true_rank(truth: &Ranking, predicted: &Ranking, count: usize) -> Option<u32> {
    true_ranks_of_predicted_best(truth, predicted, count).min()
}

/// WR@K: the worst true rank among the `count` items predicted best; Ning et al. (NeurIPS 2021) divide it by the number of items.
pub fn worst_true_rank(truth: &Ranking, predicted: &Ranking, count: usize) -> Option<u32> {
    true_ranks_of_predicted_best(truth, predicted, count).max()
}

/// P@topK: the share of the `count` items predicted best that are truly among the `count` best; Ning et al. (NeurIPS 2021).
pub fn precision_at_top(truth: &Ranking, predicted: &Ranking, count: usize) -> Option<f64> {
    let count = count.min(truth.len());
    let hits = true_ranks_of_predicted_best(truth, predicted, count).filter(|&rank| rank as usize <= count).count();
    (count > 0).then(|| hits as f64 / count as f64)
}

/// P@bottomK: the share of the `count` items predicted worst that are truly among the `count` worst; Ning et al. (NeurIPS 2021).
pub fn precision_at_bottom(truth: &Ranking, predicted: &Ranking, count: usize) -> Option<f64> {
    let (items, count) = (truth.len(), count.min(truth.len()));
    let ranks = truth.ordinal_ranks();
    let worst = predicted.best_first().into_iter().rev().take(count);
    let hits = worst.filter(|&item| ranks[item as usize] as usize > items - count).count();
    (count > 0).then(|| hits as f64 / count as f64)
}

/// The probability that the truly best of the `count` items predicted best is strictly better than the best of `count` items drawn at
/// random without repetition: C(w, count) / C(n, count) with n items, w of them truly worse. After the probability to surpass random
/// search of Yu et al. (arXiv 2003.04276), which draws with repetition. `None` if there are no such items.
pub fn surpass_random(truth: &Ranking, predicted: &Ranking, count: usize) -> Option<f64> {
    let count = count.min(truth.len());
    let best = predicted.best_first().into_iter().take(count).map(|item| truth.level(item as usize)).max()?;
    let worse = (0..truth.len()).filter(|&item| truth.level(item) < best).count();
    if worse < count {
        return Some(0.0);
    }
    Some((0..count).map(|drawn| (worse - drawn) as f64 / (truth.len() - drawn) as f64).product())
}

fn true_ranks_of_predicted_best(truth: &Ranking, predicted: &Ranking, count: usize) -> impl Iterator<Item = u32> {
    let ranks = truth.ordinal_ranks();
    predicted.best_first().into_iter().take(count).map(move |item| ranks[item as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True ranks 5 4 3 2 1; the predicted order is 3, 2, 5, 1, 4.
    fn example() -> (Ranking, Ranking) {
        (Ranking::of(&[1.0, 2.0, 3.0, 4.0, 5.0]), Ranking::of(&[0.3, 0.1, 0.5, 0.4, 0.2]))
    }

    #[test]
    fn ranks_and_precision_follow_the_predicted_order() {
        let (truth, predicted) = example();
        assert_eq!([1, 2, 3, 4].map(|n| best_true_rank(&truth, &predicted, n)), [Some(3), Some(2), Some(2), Some(1)]);
        assert_eq!([1, 2, 3].map(|k| worst_true_rank(&truth, &predicted, k)), [Some(3), Some(3), Some(5)]);
        assert_eq!([1, 2, 3].map(|k| precision_at_top(&truth, &predicted, k)), [Some(0.0), Some(0.5), Some(2.0 / 3.0)]);
        assert_eq!([1, 2].map(|k| precision_at_bottom(&truth, &predicted, k)), [Some(0.0), Some(0.5)]);
        assert_eq!(precision_at_top(&truth, &predicted, 9), Some(1.0));
        assert_eq!(best_true_rank(&truth, &predicted, 0), None);
    }

    #[test]
    fn a_choice_surpasses_random_ones_as_often_as_counting_says() {
        let (truth, predicted) = example();
        // The one chosen has two children below it, of five.
        assert_eq!(surpass_random(&truth, &predicted, 1), Some(0.4));
        // The better of the two chosen has three below it: 3 of the 10 pairs.
        let two = surpass_random(&truth, &predicted, 2).expect("defined");
        assert!((two - 0.3).abs() < 1e-15);
        assert_eq!(surpass_random(&truth, &predicted, 5), Some(0.0));
        assert_eq!(surpass_random(&Ranking::of(&[1.0; 3]), &Ranking::of(&[1.0, 2.0, 3.0]), 1), Some(0.0));
    }
}
