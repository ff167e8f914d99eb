//! How numbers of kernels that store bf16 are judged.

use crosstalk::backend::reference::numbers::{Sums, to_bf16};

/// A sum in f32 may differ by this part of the sum of its terms' magnitudes.
const SUM: f64 = 1e-5;

/// What was found of some numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub numbers: usize,
    /// Rounded to the other side of a tie, which an error of the sum in f32 explains.
    pub other_side: usize,
    /// Neither.
    pub wrong: usize,
}

impl Tally {
    /// Takes numbers that must be sums in f32, or such sums rounded to bf16. Returns what is wrong first.
    pub fn take(&mut self, found: impl IntoIterator<Item = f64>, expected: &Sums, is_rounded: bool) -> Option<String> {
        let (mut first, mut count) = (None, 0);
        for (index, found) in found.into_iter().enumerate() {
            let (expected, magnitude) = (expected.values[index], expected.magnitudes[index]);
            let error = SUM * magnitude;
            let right = match is_rounded {
                true => (to_bf16(expected - error)..=to_bf16(expected + error)).contains(&found),
                false => (found - expected).abs() <= error,
            };
            if !right {
                self.wrong += 1;
                first.get_or_insert_with(|| {
                    format!("number {index} is {found:e}, not {expected:e}, of terms of {magnitude:e} in all")
                });
            } else if is_rounded && found != to_bf16(expected) {
                self.other_side += 1;
            }
            count += 1;
        }
        assert_eq!(count, expected.values.len(), "as many numbers");
        self.numbers += count;
        first
    }

    /// Asserts that nothing is wrong.
    pub fn take_right(&mut self, label: &str, found: impl IntoIterator<Item = f64>, expected: &Sums, is_rounded: bool) {
        let wrong = self.take(found, expected, is_rounded);
        assert!(wrong.is_none(), "{label}: {}", wrong.unwrap_or_default());
    }
}
