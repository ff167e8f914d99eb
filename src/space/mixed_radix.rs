//! Numbers with a radix of its own for every digit, the first digit most significant: their order is lexicographic.

/// The radix of every digit. All of them are at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MixedRadix(pub Vec<usize>);

impl MixedRadix {
    /// How many numbers there are; none from 2^128 on.
    pub fn count(&self) -> Option<u128> {
        self.0.iter().try_fold(1u128, |count, &radix| count.checked_mul(radix as u128))
    }

    pub fn index_of(&self, digits: &[u8]) -> u128 {
        self.0
            .iter()
            .zip(digits)
            .fold(0u128, |index, (&radix, &digit)| index.wrapping_mul(radix as u128).wrapping_add(u128::from(digit)))
    }

    /// The digits of a number below `count`; a larger one wraps around.
    pub fn at(&self, mut index: u128) -> Vec<u8> {
        let mut digits = vec![0; self.0.len()];
        for (digit, &radix) in digits.iter_mut().zip(&self.0).rev() {
            *digit = (index % radix as u128) as u8;
            index /= radix as u128;
        }
        digits
    }

    /// Adds one; false at the last number.
    pub fn increment(&self, digits: &mut [u8]) -> bool {
        for (digit, &radix) in digits.iter_mut().zip(&self.0).rev() {
            if usize::from(*digit) + 1 < radix {
                *digit += 1;
                return true;
            }
            *digit = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn radices_and_seed() -> impl Strategy<Value = (MixedRadix, u128)> {
        (proptest::collection::vec(1usize..=8, 1..=42).prop_map(MixedRadix), any::<u128>())
    }

    proptest! {
        #[test]
        fn index_and_digits_are_inverse((radices, seed) in radices_and_seed()) {
            let index = seed % radices.count().unwrap();
            let digits = radices.at(index);
            prop_assert!(digits.iter().zip(&radices.0).all(|(&digit, &radix)| usize::from(digit) < radix));
            prop_assert_eq!(radices.index_of(&digits), index);
        }

        #[test]
        fn the_order_of_indices_is_lexicographic((radices, seed) in radices_and_seed(), other in any::<u128>()) {
            let count = radices.count().unwrap();
            let (a, b) = (seed % count, other % count);
            prop_assert_eq!(a.cmp(&b), radices.at(a).cmp(&radices.at(b)));
        }

        #[test]
        fn increment_gives_the_next_index((radices, seed) in radices_and_seed()) {
            let count = radices.count().unwrap();
            let index = seed % count;
            let mut digits = radices.at(index);
            prop_assert_eq!(radices.increment(&mut digits), index + 1 < count);
            prop_assert_eq!(radices.index_of(&digits), (index + 1) % count);
        }
    }

    #[test]
    fn a_count_of_two_to_the_128_is_none() {
        assert_eq!(MixedRadix(vec![2; 127]).count(), Some(1 << 127));
        assert_eq!(MixedRadix(vec![2; 128]).count(), None);
    }
}
