//! The sums that the backward pass of a normalization wants.

use crosstalk::ops::normalization::reference::GradientSums;

/// Asserts that f32 sums of dz and of dz * xhat, divided by `count`, are these.
pub fn assert_sums(label: &str, expected: &[GradientSums; 2], found: [&[f32]; 2], count: f64) {
    for (which, GradientSums { sums, magnitudes }) in expected.iter().enumerate() {
        for (channel, found) in found[which].iter().enumerate() {
            let (expected, scale) = (sums[channel] / count, magnitudes[channel] / count);
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= 1e-5 * scale, "{label}: sum {which} of channel {channel} is {found}, not {expected}");
        }
    }
}
