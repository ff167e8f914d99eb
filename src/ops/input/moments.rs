//! Partial statistics of batch normalization.

use crate::simd::{Kernel, Level, Simd};

/// Count, mean and sum of squared deviations of each channel over some pixels.
///
/// Within a strip of pixels the mean comes first and the deviations second; strips and chunks merge by Chan's formula in `f64`. A sum and a sum of squares
/// in `f32` would cancel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    pub count: f64,
    pub mean: Vec<f64>,
    /// Sum of squared deviations from the mean.
    pub m2: Vec<f64>,
}

impl Moments {
    /// Of no pixels.
    pub fn new(channels: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; channels], m2: vec![0.0; channels] }
    }

    /// Back to no pixels.
    pub fn clear(&mut self) {
        self.count = 0.0;
        self.mean.fill(0.0);
        self.m2.fill(0.0);
    }

    /// Takes in the statistics of other pixels of the same channels (Chan, Golub and LeVeque 1979).
    ///
    /// # Panics
    /// If `other` has fewer channels.
    pub fn merge(&mut self, other: &Self) {
        let total = self.count + other.count;
        if total == 0.0 {
            return;
        }
        let share = other.count / total;
        let weight = self.count * share;
        for (channel, (mean, m2)) in self.mean.iter_mut().zip(&mut self.m2).enumerate() {
            let delta = other.mean[channel] - *mean;
            *mean += delta * share;
            *m2 += other.m2[channel] + delta * delta * weight;
        }
        self.count = total;
    }

    /// Takes in some pixels, `values = [pixel][channel]`, few enough to stay in the first-level cache.
    pub(crate) fn add_strip(&mut self, level: Level, values: &[f32]) {
        let channels = self.mean.len();
        level.run(Strip { values, channels, moments: self });
    }
}

struct Strip<'a> {
    values: &'a [f32],
    channels: usize,
    moments: &'a mut Moments,
}

#[inline(always)]
fn sum_of<S: Simd>(simd: S, parts: [S::Vector; 4]) -> S::Vector {
    simd.add(simd.add(parts[0], parts[1]), simd.add(parts[2], parts[3]))
}

impl Strip<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let channels = self.channels;
        let pixels = self.values.len() / channels;
        let count = pixels as f64;
        let total = self.moments.count + count;
        let (share, weight) = (count / total, self.moments.count * count / total);
        for channel in (0..channels).step_by(S::LANES) {
            let (mut about, mut first, mut second) = ([0f32; 16], [0f32; 16], [0f32; 16]);
            // SAFETY: `channel + LANES <= channels`, so pixel `pixels - 1` ends inside `values`; the arrays hold the widest vector.
            unsafe {
                let from = self.values.as_ptr().add(channel);
                let mut sums = [simd.zero(); 4];
                for pixel in 0..pixels / 4 {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.add(*sum, simd.load(from.add((4 * pixel + i) * channels)));
                    }
                }
                for pixel in pixels / 4 * 4..pixels {
                    sums[0] = simd.add(sums[0], simd.load(from.add(pixel * channels)));
                }
                let mean = simd.mul(sum_of(simd, sums), simd.splat(1.0 / pixels as f32));
                let (mut deviations, mut squares) = ([simd.zero(); 4], [simd.zero(); 4]);
                for pixel in 0..pixels / 4 {
                    for i in 0..4 {
                        let deviation = simd.sub(simd.load(from.add((4 * pixel + i) * channels)), mean);
                        deviations[i] = simd.add(deviations[i], deviation);
                        squares[i] = simd.fma(deviation, deviation, squares[i]);
                    }
                }
                for pixel in pixels / 4 * 4..pixels {
                    let deviation = simd.sub(simd.load(from.add(pixel * channels)), mean);
                    deviations[0] = simd.add(deviations[0], deviation);
                    squares[0] = simd.fma(deviation, deviation, squares[0]);
                }
                simd.store(about.as_mut_ptr(), mean);
                simd.store(first.as_mut_ptr(), sum_of(simd, deviations));
                simd.store(second.as_mut_ptr(), sum_of(simd, squares));
            }
            let means = &mut self.moments.mean[channel..channel + S::LANES];
            let m2s = &mut self.moments.m2[channel..channel + S::LANES];
            for lane in 0..S::LANES {
                // The deviations' own mean corrects the rounding of the first pass.
                let correction = f64::from(first[lane]) / count;
                let strip_mean = f64::from(about[lane]) + correction;
                let strip_m2 = (f64::from(second[lane]) - count * correction * correction).max(0.0);
                let delta = strip_mean - means[lane];
                means[lane] += delta * share;
                m2s[lane] += strip_m2 + delta * delta * weight;
            }
        }
        self.moments.count = total;
    }
}

impl Kernel for Strip<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(!self.values.is_empty() && self.values.len().is_multiple_of(self.channels));
        assert!(self.channels.is_multiple_of(8));
        if self.channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
