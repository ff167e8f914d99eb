//! Streams of random words, one for each (seed, purpose, step, item).

use super::Philox;

/// What a stream is drawn for. The numbers are part of every recorded result: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Initial weights; item = parameter.
    InitialWeights = 0,
    /// The order of the images; step = epoch.
    ImagePermutation = 1,
    /// Crop offsets; item = position in the mini-batch.
    Crop = 2,
    /// Horizontal flips; item = position in the mini-batch.
    Flip = 3,
    /// Children drawn at a step; item = lane, or edge.
    Children = 4,
    /// The order in which listed children are trained; step = round.
    ChildOrder = 5,
    /// The mini-batches on which batch statistics are re-estimated.
    Recalibration = 6,
    /// Centers of cutouts; item = position in the mini-batch.
    Cutout = 7,
    /// Children drawn with repetition for a confidence interval; step = replicate.
    Bootstrap = 8,
    /// Children of a list `sample:N`.
    ChildSample = 9,
    /// Initial architecture parameters; item = choice of a child.
    InitialAlphas = 10,
    /// The seed of the mini-batches on which architecture parameters step.
    AlphaMiniBatches = 11,
}

/// Random words of one (seed, purpose, step, item), in order.
///
/// The key is the seed, low word first. The counter is `[block, item, step, purpose]`, so streams of different purpose,
/// step or item never meet. Steps of more than 32 bits continue in the upper 24 bits of the last word
/// (up to 2^56 steps); a stream repeats after 2^34 words.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    /// Words of `words` already handed out.
    used: usize,
}

impl Stream {
    pub const fn new(seed: u64, purpose: Purpose, step: u64, item: u32) -> Self {
        let last = purpose as u32 | ((step >> 32) as u32) << 8;
        Self { key: [seed as u32, (seed >> 32) as u32], counter: [0, item, step as u32, last], words: [0; 4], used: 4 }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = Philox::block(self.key, self.counter);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        word
    }

    /// A number in `0..bound`, each with the same probability; 0 for `bound = 0`.
    ///
    /// Lemire, "Fast random integer generation in an interval" (ACM TOMACS 2019), algorithm 5 with 32-bit words: the
    /// number of words consumed depends on what is drawn.
    pub fn bounded(&mut self, bound: u32) -> u32 {
        let mut product = u64::from(self.next_u32()) * u64::from(bound);
        if (product as u32) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (product >> 32) as u32
    }

    /// A multiple of 2^-53 in `[0, 1)`, from two words, the high one first.
    pub fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.next_u32());
        let low = u64::from(self.next_u32());
        ((high << 32 | low) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A normally distributed number, mean 0 and variance 1: Box and Muller's transform of two uniform ones, of which the second result is
    /// left out.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform_f64(), self.uniform_f64());
        (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
    }

    /// A uniformly random order of `0..count`: Fisher-Yates from the last place down, one bounded draw a place.
    pub fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        for place in (1..count).rev() {
            let other = self.bounded(place + 1);
            order.swap(place as usize, other as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_stream_is_the_blocks_of_its_counter_in_order() {
        let mut stream = Stream::new(0x0123_4567_89ab_cdef, Purpose::Flip, 7, 9);
        let drawn: Vec<u32> = (0..8).map(|_| stream.next_u32()).collect();
        let key = [0x89ab_cdef, 0x0123_4567];
        let expected = [Philox::block(key, [0, 9, 7, 3]), Philox::block(key, [1, 9, 7, 3])].concat();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn no_two_purposes_steps_or_items_share_a_counter() {
        let purposes = [
            Purpose::InitialWeights,
            Purpose::ImagePermutation,
            Purpose::Crop,
            Purpose::Flip,
            Purpose::Children,
            Purpose::ChildOrder,
            Purpose::Recalibration,
            Purpose::Cutout,
            Purpose::Bootstrap,
            Purpose::InitialAlphas,
            Purpose::AlphaMiniBatches,
        ];
        let steps = [0, 1, 2, 255, 256, u64::from(u32::MAX), 1 << 32, (1 << 32) + 1, 1 << 33, 1 << 40, (1 << 56) - 1];
        let items = [0, 1, 2, 6, u32::MAX];
        let mut counters = HashSet::new();
        for purpose in purposes {
            for step in steps {
                for item in items {
                    assert!(counters.insert(Stream::new(1, purpose, step, item).counter));
                }
            }
        }
        assert_eq!(counters.len(), purposes.len() * steps.len() * items.len());
    }

    #[test]
    fn bounded_draws_stay_in_range_and_are_even() {
        let mut stream = Stream::new(1, Purpose::Crop, 0, 0);
        let mut counts = [0u32; 9];
        for _ in 0..90_000 {
            counts[stream.bounded(9) as usize] += 1;
        }
        // 10,000 expected, standard deviation 94: five of them.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 471), "{counts:?}");
        assert_eq!(stream.bounded(0), 0);
        assert_eq!(stream.bounded(1), 0);
    }

    #[test]
    fn bounded_draws_reject_the_words_that_would_bias_them() {
        // For 3 * 2^30, a quarter of the words is rejected; without rejection one residue class of three is drawn twice as often.
        let bound = 3 << 30;
        let mut stream = Stream::new(5, Purpose::Crop, 0, 0);
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[(stream.bounded(bound) % 3) as usize] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 408), "{counts:?}");
    }

    #[test]
    fn uniform_numbers_use_all_53_bits_and_never_reach_one() {
        let mut stream = Stream::new(3, Purpose::InitialWeights, 0, 0);
        let draws: Vec<f64> = (0..10_000).map(|_| stream.uniform_f64()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!(draws.iter().any(|draw| draw.to_bits() & 1 == 1));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }

    #[test]
    fn normal_numbers_have_mean_0_variance_1_and_the_tails_of_a_normal_distribution() {
        let mut stream = Stream::new(4, Purpose::InitialAlphas, 0, 0);
        let draws: Vec<f64> = (0..40_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 40_000.0;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 40_000.0;
        // Standard deviations 0.005 and 0.007.
        assert!(mean.abs() < 0.025 && (variance - 1.0).abs() < 0.035, "{mean} {variance}");
        // 4.55 % lie beyond 2: 1,820, standard deviation 42.
        let beyond = draws.iter().filter(|draw| draw.abs() > 2.0).count();
        assert!((1_610..2_030).contains(&beyond), "{beyond}");
    }

    #[test]
    fn a_permutation_holds_every_number_once_and_changes_with_the_step() {
        let first = Stream::new(1, Purpose::ImagePermutation, 0, 0).permutation(1000);
        let second = Stream::new(1, Purpose::ImagePermutation, 1, 0).permutation(1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
        assert_ne!(first, second);
        assert_eq!(first, Stream::new(1, Purpose::ImagePermutation, 0, 0).permutation(1000));
        assert!(Stream::new(1, Purpose::ImagePermutation, 0, 0).permutation(0).is_empty());
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        for step in 0..6000 {
            *counts.entry(Stream::new(2, Purpose::ChildOrder, step, 0).permutation(3)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| count.abs_diff(1000) < 145), "{counts:?}");
    }
}
