use super::Moments;
use crate::rng::{Purpose, Stream};
use crate::simd::Level;

/// Uniform in -1..1.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::InitialWeights, 0, 0);
    (0..count).map(|_| (2.0 * stream.uniform_f64() - 1.0) as f32).collect()
}

/// Asserts that `moments` are those of `values = [pixel][channel]`.
fn check_moments(moments: &Moments, values: &[f32]) {
    let channels = moments.mean.len();
    let count = (values.len() / channels) as f64;
    assert_eq!(moments.count, count);
    for channel in 0..channels {
        let of_channel = || values[channel..].iter().step_by(channels).map(|&value| f64::from(value));
        let mean = of_channel().sum::<f64>() / count;
        let m2: f64 = of_channel().map(|value| (value - mean).powi(2)).sum();
        assert!((moments.mean[channel] - mean).abs() <= 1e-6 * (m2 / count).sqrt().max(1e-12));
        assert!((moments.m2[channel] - m2).abs() <= 1e-6 * m2.max(1e-12));
    }
}

#[test]
fn statistics_of_a_large_mean_with_a_small_deviation_do_not_cancel() {
    for channels in [8, 16, 24, 48] {
        let values: Vec<f32> = numbers(5, 1000 * channels).iter().map(|v| 10_000.0 + v * 0.5).collect();
        for level in Level::available() {
            let mut moments = Moments::new(channels);
            for strip in values.chunks(96 * channels) {
                moments.add_strip(level, strip);
            }
            check_moments(&moments, &values);
        }
    }
}

#[test]
fn merged_chunks_have_the_statistics_of_all_pixels() {
    let values = numbers(6, 500 * 16);
    let mut all = Moments::new(16);
    all.merge(&Moments::new(16));
    for chunk in values.chunks(123 * 16) {
        let mut moments = Moments::new(16);
        moments.add_strip(Level::Portable, chunk);
        all.merge(&moments);
    }
    check_moments(&all, &values);
}
