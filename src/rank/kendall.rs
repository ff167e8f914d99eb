//! Kendall's tau-b by Knight's algorithm.

use super::Ranking;

/// How the pairs of items stand to each other in two rankings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCounts {
    /// n (n - 1) / 2.
    pub pairs: u64,
    /// Tied in the first ranking, whether or not in the second.
    pub tied_in_first: u64,
    /// Tied in the second ranking, whether or not in the first.
    pub tied_in_second: u64,
    pub tied_in_both: u64,
    /// Ordered in opposite ways.
    pub discordant: u64,
}

impl PairCounts {
    /// Counts in O(n log n): the items are sorted by the first ranking and within ties by the second; the exchanges that a merge sort
    /// by the second then makes are the discordant pairs. W. R. Knight, "A Computer Method for Calculating Kendall's Tau with
    /// Ungrouped Data", Journal of the American Statistical Association 61 (1966).
    ///
    /// The rankings are of the same items; of two lengths, the items that both have count.
    pub fn of(first: &Ranking, second: &Ranking) -> Self {
        let items: Vec<u32> = (0..first.len().min(second.len()) as u32).collect();
        let order = first.sorted(&second.sorted(&items));
        let mut tied_in_first = RunLengths::default();
        let mut tied_in_both = RunLengths::default();
        for pair in order.windows(2) {
            let [a, b] = [pair[0] as usize, pair[1] as usize];
            let same_first = first.level(a) == first.level(b);
            tied_in_first.next(same_first);
            tied_in_both.next(same_first && second.level(a) == second.level(b));
        }
        let mut levels: Vec<u32> = order.iter().map(|&item| second.level(item as usize)).collect();
        let discordant = sort_counting_exchanges(&mut levels);
        let mut tied_in_second = RunLengths::default();
        levels.windows(2).for_each(|pair| tied_in_second.next(pair[0] == pair[1]));
        Self {
            pairs: pairs_of(items.len() as u64),
            tied_in_first: tied_in_first.pairs,
            tied_in_second: tied_in_second.pairs,
            tied_in_both: tied_in_both.pairs,
            discordant,
        }
    }

    /// (concordant - discordant) / sqrt((pairs - tied in first) (pairs - tied in second)): M. G. Kendall, "The Treatment of Ties in
    /// Ranking Problems", Biometrika 33 (1945). `None` where a ranking is constant or has fewer than two items.
    pub fn tau_b(&self) -> Option<f64> {
        let (untied_in_first, untied_in_second) = (self.pairs - self.tied_in_first, self.pairs - self.tied_in_second);
        if untied_in_first == 0 || untied_in_second == 0 {
            return None;
        }
        let untied = self.pairs + self.tied_in_both - self.tied_in_first - self.tied_in_second;
        let concordant_less_discordant = untied as f64 - 2.0 * self.discordant as f64;
        // One root of the product, because the root of a square is exact: a ranking has a tau of 1 with itself, not nearly.
        let tau = concordant_less_discordant / (untied_in_first as f64 * untied_in_second as f64).sqrt();
        Some(tau.clamp(-1.0, 1.0))
    }
}

/// Kendall's tau-b (see [`PairCounts::tau_b`]) in O(n log n), between -1 and 1.
pub fn tau_b(first: &Ranking, second: &Ranking) -> Option<f64> {
    PairCounts::of(first, second).tau_b()
}

fn pairs_of(items: u64) -> u64 {
    items * items.saturating_sub(1) / 2
}

/// Pairs within runs of tied neighbors.
#[derive(Default)]
struct RunLengths {
    /// Length of the present run, less one.
    length: u64,
    pairs: u64,
}

impl RunLengths {
    /// The next neighbor, and whether it is tied with the one before.
    fn next(&mut self, tied: bool) {
        self.length = if tied { self.length + 1 } else { 0 };
        self.pairs += self.length;
    }
}

/// Merge sort from the bottom up. Returns the number of pairs that stood in falling order.
fn sort_counting_exchanges(values: &mut Vec<u32>) -> u64 {
    let mut merged = vec![0; values.len()];
    let mut exchanges = 0;
    let mut width = 1;
    while width < values.len() {
        for (pair, merged) in values.chunks(2 * width).zip(merged.chunks_mut(2 * width)) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            exchanges += merge_counting_exchanges(left, right, merged);
        }
        std::mem::swap(values, &mut merged);
        width *= 2;
    }
    exchanges
}

fn merge_counting_exchanges(left: &[u32], right: &[u32], merged: &mut [u32]) -> u64 {
    let (mut l, mut r, mut exchanges) = (0, 0, 0);
    for slot in merged {
        if r < right.len() && (l == left.len() || right[r] < left[l]) {
            *slot = right[r];
            r += 1;
            exchanges += (left.len() - l) as u64;
        } else {
            *slot = left[l];
            l += 1;
        }
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few different values, so that ties abound.
    fn values() -> impl Strategy<Value = Vec<(f64, f64)>> {
        proptest::collection::vec(((-3i32..4).prop_map(f64::from), (-3i32..4).prop_map(f64::from)), 0..40)
    }

    fn rankings(values: &[(f64, f64)]) -> (Ranking, Ranking) {
        let (first, second): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
        (Ranking::of(&first), Ranking::of(&second))
    }

    /// Kendall's definition: a sum over all pairs.
    fn tau_by_definition(values: &[(f64, f64)]) -> Option<f64> {
        let (mut sum, mut untied_in_first, mut untied_in_second) = (0.0, 0.0, 0.0);
        for (index, a) in values.iter().enumerate() {
            for b in &values[index + 1..] {
                let sign = |difference: f64| if difference == 0.0 { 0.0 } else { difference.signum() };
                let (first, second) = (sign(a.0 - b.0), sign(a.1 - b.1));
                sum += first * second;
                untied_in_first += first.abs();
                untied_in_second += second.abs();
            }
        }
        let scale: f64 = untied_in_first * untied_in_second;
        (scale > 0.0).then(|| sum / scale.sqrt())
    }

    proptest! {
        #[test]
        fn the_algorithm_agrees_with_the_definition(values in values()) {
            let (first, second) = rankings(&values);
            match (tau_b(&first, &second), tau_by_definition(&values)) {
                (Some(tau), Some(expected)) => prop_assert!((tau - expected).abs() < 1e-12),
                (tau, expected) => prop_assert_eq!(tau, expected),
            }
        }

        #[test]
        fn a_ranking_agrees_with_itself_and_opposes_its_reverse(values in values()) {
            let (first, _) = rankings(&values);
            let reversed: Vec<f64> = values.iter().map(|(value, _)| -value).collect();
            let defined = !first.is_constant();
            prop_assert_eq!(tau_b(&first, &first), defined.then_some(1.0));
            prop_assert_eq!(tau_b(&first, &Ranking::of(&reversed)), defined.then_some(-1.0));
        }

        #[test]
        fn tau_is_symmetric_and_changes_sign_with_one_side(values in values()) {
            let (first, second) = rankings(&values);
            let tau = tau_b(&first, &second);
            prop_assert_eq!(tau_b(&second, &first), tau);
            let negated: Vec<f64> = values.iter().map(|(_, value)| -value).collect();
            prop_assert_eq!(tau_b(&first, &Ranking::of(&negated)).map(|tau| -tau + 0.0), tau.map(|tau| tau + 0.0));
        }
    }

    #[test]
    fn a_constant_side_or_a_single_item_has_no_tau() {
        let constant = Ranking::of(&[2.0; 5]);
        let rising = Ranking::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(tau_b(&constant, &rising), None);
        assert_eq!(tau_b(&rising, &constant), None);
        assert_eq!(tau_b(&Ranking::of(&[1.0]), &Ranking::of(&[1.0])), None);
        assert_eq!(tau_b(&Ranking::of(&[]), &Ranking::of(&[])), None);
    }
}
