//! Values reduced to their order.

/// The level of every item: items with equal values share one, a higher value has a higher one. Holds at most 2^32 - 1 items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    levels: Vec<u32>,
    /// Levels lie below this; after [`Ranking::gather`] some may have no item.
    level_count: usize,
}

impl Ranking {
    /// Ranks values in O(n log n). Zeros are equal whatever their sign; NaN has no order, so there should be none.
    pub fn of(values: &[f64]) -> Self {
        // Adding zero turns -0.0 into 0.0, which `total_cmp` would tell apart.
        let value = |item: u32| values[item as usize] + 0.0;
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| value(a).total_cmp(&value(b)));
        let mut levels = vec![0; values.len()];
        let mut level = 0;
        for (place, &item) in order.iter().enumerate() {
            if place > 0 && value(order[place - 1]) < value(item) {
                level += 1;
            }
            levels[item as usize] = level;
        }
        Self { levels, level_count: if values.is_empty() { 0 } else { level as usize + 1 } }
    }

    pub fn len(&self) -> usize {
        self.levels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The level of an item, from 0 for the lowest value.
    pub fn level(&self, item: usize) -> u32 {
        self.levels[item]
    }

    /// The ranking of a part of the items, or of a sample with repetitions, in O(n).
    pub fn gather(&self, items: &[u32]) -> Self {
        Self { levels: items.iter().map(|&item| self.levels[item as usize]).collect(), level_count: self.level_count }
    }

    /// Whether all items are tied.
    pub fn is_constant(&self) -> bool {
        self.levels.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Ordinal ranks (every rank once): the items from the highest value to the lowest. Tied items keep their order.
    pub fn best_first(&self) -> Vec<u32> {
        let reversed: Vec<u32> = (0..self.len() as u32).rev().collect();
        let mut order = self.sorted(&reversed);
        order.reverse();
        order
    }

    /// Ordinal rank of every item, from 1 for the highest value. Tied items are ranked in their order.
    pub fn ordinal_ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.len()];
        for (place, item) in self.best_first().into_iter().enumerate() {
            ranks[item as usize] = place as u32 + 1;
        }
        ranks
    }

    /// Fractional rank of every item, from 1 for the lowest value; tied items share the mean of their ranks.
    pub fn average_ranks(&self) -> Vec<f64> {
        let mut below = 0;
        let mean_ranks: Vec<f64> = self
            .counts()
            .into_iter()
            .map(|count| {
                let mean = below as f64 + (count as f64 + 1.0) / 2.0;
                below += count;
                mean
            })
            .collect();
        self.levels.iter().map(|&level| mean_ranks[level as usize]).collect()
    }

    /// Number of items of every level.
    pub(super) fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.level_count];
        self.levels.iter().for_each(|&level| counts[level as usize] += 1);
        counts
    }

    /// `items` from the lowest level to the highest, tied ones in their order there: a counting sort.
    pub(super) fn sorted(&self, items: &[u32]) -> Vec<u32> {
        let mut starts = vec![0_usize; self.level_count + 1];
        items.iter().for_each(|&item| starts[self.levels[item as usize] as usize + 1] += 1);
        for level in 0..self.level_count {
            starts[level + 1] += starts[level];
        }
        let mut order = vec![0; items.len()];
        for &item in items {
            let place: &mut usize = &mut starts[self.level(item as usize) as usize];
            order[*place] = item;
            *place += 1;
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_a_level_and_their_mean_rank_and_keep_their_order() {
        let ranking = Ranking::of(&[0.5, -0.0, 0.9, 0.0, 0.5]);
        assert_eq!(ranking.levels, [1, 0, 2, 0, 1]);
        assert_eq!(ranking.average_ranks(), [3.5, 1.5, 5.0, 1.5, 3.5]);
        assert_eq!(ranking.best_first(), [2, 0, 4, 1, 3]);
        assert_eq!(ranking.ordinal_ranks(), [2, 4, 1, 5, 3]);
    }

    #[test]
    fn a_gathered_sample_ranks_as_its_values_do() {
        let values = [3.0, 1.0, 2.0, 2.0];
        let sample = [2, 2, 0, 3];
        let sampled = Ranking::of(&values).gather(&sample);
        assert_eq!(sampled.average_ranks(), Ranking::of(&[2.0, 2.0, 3.0, 2.0]).average_ranks());
        assert!(Ranking::of(&values).gather(&[2, 3]).is_constant() && !sampled.is_constant());
    }

    #[test]
    fn nothing_has_a_ranking_too() {
        let nothing = Ranking::of(&[]);
        assert!(nothing.is_empty() && nothing.best_first().is_empty() && nothing.average_ranks().is_empty());
    }
}
