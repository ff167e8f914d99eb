//! Rows of a normalization (kernels/stage.cuh), and the sums that its backward wants.

use crosstalk::ops::cuda::Stage;

pub const MEAN: usize = 0;
pub const SCALE: usize = 1;
pub const SHIFT: usize = 2;
pub const RSTD: usize = 3;
pub const M1: usize = 4;
pub const M2: usize = 5;

/// A table of rows.
pub struct Rows(pub Vec<f32>);

impl Rows {
    pub fn channels(&self) -> usize {
        self.0.len() / Stage::NORMALIZATION_ROWS
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.0[row * self.channels()..][..self.channels()]
    }

    /// `[pixel][stored channel]`, in f32.
    pub fn normalize(&self, values: &[f32]) -> Vec<f32> {
        let of = |(index, y): (usize, &f32)| {
            let row = |row: usize| self.row(row)[index % self.channels()];
            (y - row(MEAN)).mul_add(row(SCALE), row(SHIFT))
        };
        values.iter().enumerate().map(of).collect()
    }

    /// The gradient of the raw value from that of the normalized one, in f32.
    pub fn raw_gradient(&self, gradient: &[f32], values: &[f32]) -> Vec<f32> {
        let of = |(index, (dz, y)): (usize, (&f32, &f32))| {
            let row = |row: usize| self.row(row)[index % self.channels()];
            let (slope, offset) = (-row(SCALE) * row(RSTD) * row(M2), -row(SCALE) * row(M1));
            dz.mul_add(row(SCALE), (y - row(MEAN)).mul_add(slope, offset))
        };
        gradient.iter().zip(values).enumerate().map(of).collect()
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let channels = self.channels();
        &mut self.0[row * channels..][..channels]
    }
}

/// Sums of dz and of dz * xhat of every channel, and of their magnitudes.
pub struct GradientSums {
    pub sums: [Vec<f64>; 2],
    magnitudes: [Vec<f64>; 2],
}

impl GradientSums {
    pub fn new(gradient: &[f32], values: &[f32], rows: &Rows) -> Self {
        let channels = rows.channels();
        let zeros = || [vec![0.0; channels], vec![0.0; channels]];
        let mut new = Self { sums: zeros(), magnitudes: zeros() };
        for (index, (dz, y)) in gradient.iter().zip(values).enumerate() {
            let (channel, dz) = (index % channels, f64::from(*dz));
            let row = |row: usize| f64::from(rows.row(row)[channel]);
            for (which, term) in [dz, dz * (f64::from(*y) - row(MEAN)) * row(RSTD)].into_iter().enumerate() {
                new.sums[which][channel] += term;
                new.magnitudes[which][channel] += term.abs();
            }
        }
        new
    }

    /// Asserts that f32 sums, divided by `count`, are these.
    pub fn assert_close(&self, label: &str, found: [&[f32]; 2], count: f64) {
        for which in 0..2 {
            for (channel, found) in found[which].iter().enumerate() {
                let (expected, scale) = (self.sums[which][channel] / count, self.magnitudes[which][channel] / count);
                let error = (f64::from(*found) - expected).abs();
                assert!(error <= 1e-5 * scale, "{label}: sum {which} of channel {channel} is {found}, not {expected}");
            }
        }
    }
}
