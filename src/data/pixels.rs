//! How bytes become numbers.

use serde::{Deserialize, Serialize};

use super::DataError;

/// Mean and standard deviation of each channel, in byte / 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
}

impl Normalization {
    /// Mean and population standard deviation of interleaved pixels. The sums are exact integers, so the result does not
    /// depend on their order.
    pub(super) fn of_pixels(pixels: &[u8], channels: usize) -> Self {
        let mut counts = vec![[0u64; 256]; channels];
        for pixel in pixels.chunks_exact(channels) {
            for (counts, &byte) in counts.iter_mut().zip(pixel) {
                counts[usize::from(byte)] += 1;
            }
        }
        let moments = counts.iter().map(|counts| {
            let sum = |power: u32| -> u128 { (0u128..).zip(counts).map(|(b, &n)| b.pow(power) * u128::from(n)).sum() };
            let (count, first, second) = (sum(0), sum(1), sum(2));
            let mean = first as f64 / count as f64 / 255.0;
            let std = ((count * second - first * first) as f64).sqrt() / count as f64 / 255.0;
            (mean, std)
        });
        let (mean, std) = moments.unzip();
        Self { mean, std }
    }
}

/// `[channel][byte]`: the number that a byte stands for. Every backend reads this table, the f64 reference too.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelTable {
    values: Vec<[f32; 256]>,
}

impl PixelTable {
    /// `(byte / 255 - mean) / std`, every operation and constant rounded to f32 in that order.
    ///
    /// # Errors
    /// Counts that differ, a mean or deviation that is not finite, a deviation not above zero in f32.
    pub fn new(mean: &[f64], std: &[f64]) -> Result<Self, DataError> {
        if mean.is_empty() || mean.len() != std.len() {
            let channels = mean.len().max(std.len());
            return Err(DataError::NormalizationChannels { means: mean.len(), stds: std.len(), channels });
        }
        let channel_values = |(channel, (&mean, &std)): (usize, (&f64, &f64))| {
            let mut values = [0.0; 256];
            for (byte, value) in (0u8..=255).zip(&mut values) {
                *value = (f32::from(byte) / 255.0 - mean as f32) / std as f32;
            }
            // A deviation that f32 rounds to zero or infinity shows here too.
            let usable = std as f32 > 0.0 && (std as f32).is_finite() && values.iter().all(|value| value.is_finite());
            if usable { Ok(values) } else { Err(DataError::Normalization { channel, mean, std }) }
        };
        let values = mean.iter().zip(std).enumerate().map(channel_values).collect::<Result<_, _>>()?;
        Ok(Self { values })
    }

    pub fn channels(&self) -> usize {
        self.values.len()
    }

    /// The 256 numbers of one channel.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn channel(&self, channel: usize) -> &[f32; 256] {
        &self.values[channel]
    }

    /// Every channel's 256 numbers, for a device.
    pub fn as_flat(&self) -> &[f32] {
        self.values.as_flattened()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte and bits of the number, from NumPy:
    /// `(np.float32(b) / np.float32(255) - np.float32(.49139968)) / np.float32(.24703233)`.
    const NUMPY: [(u8, u32); 8] = [
        (0, 0xbffe_9e80),
        (1, 0xbffc_9651),
        (16, 0xbfde_1b93),
        (77, 0xbf44_50d9),
        (128, 0x3d2f_1cc6),
        (200, 0x3f97_c60e),
        (254, 0x4002_bff6),
        (255, 0x4003_c40e),
    ];

    #[test]
    fn the_table_rounds_every_operation_to_f32() {
        let table = PixelTable::new(&[0.49139968], &[0.24703233]).unwrap();
        for (byte, bits) in NUMPY {
            assert_eq!(table.channel(0)[usize::from(byte)].to_bits(), bits, "byte {byte}");
        }
    }

    #[test]
    fn a_normalization_that_cannot_divide_is_refused_by_channel() {
        for (mean, std) in [
            (0.5, 0.0),
            (0.5, f64::NAN),
            (f64::NAN, 1.0),
            (0.5, -1.0),
            (0.5, 1e-60),
            (0.5, 1e300),
            (f64::INFINITY, 1.0),
        ] {
            let error = PixelTable::new(&[0.5, mean], &[0.5, std]).unwrap_err();
            assert!(matches!(error, DataError::Normalization { channel: 1, .. }), "{error}");
        }
        assert!(matches!(
            PixelTable::new(&[0.5], &[]),
            Err(DataError::NormalizationChannels { means: 1, stds: 0, .. })
        ));
        assert!(PixelTable::new(&[], &[]).is_err());
    }

    #[test]
    fn statistics_are_those_of_the_interleaved_channels() {
        let statistics = Normalization::of_pixels(&[0, 255, 255, 255, 0, 0, 255, 0], 2);
        assert_eq!(statistics, Normalization { mean: vec![0.5, 0.5], std: vec![0.5, 0.5] });
    }
}
