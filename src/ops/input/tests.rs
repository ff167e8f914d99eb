use super::Moments;
use crate::ops::cases::{Generator, check_moments};
use crate::simd::Level;

#[test]
fn statistics_of_a_large_mean_with_a_small_deviation_do_not_cancel() {
    for channels in [8, 16, 24, 48] {
        let values: Vec<f32> = Generator(5).numbers(1000 * channels).iter().map(|v| 10_000.0 + v * 0.5).collect();
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
    let values = Generator(6).numbers(500 * 16);
    let mut all = Moments::new(16);
    all.merge(&Moments::new(16));
    for chunk in values.chunks(123 * 16) {
        let mut moments = Moments::new(16);
        moments.add_strip(Level::Portable, chunk);
        all.merge(&moments);
    }
    check_moments(&all, &values);
}
