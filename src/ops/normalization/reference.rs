//! Batch normalization (Ioffe and Szegedy 2015): `z = gamma * (y - mean) / sqrt(variance + epsilon) + beta` per channel.

use crate::ops::cuda::Stage;

/// Per channel: count of values, mean, and sum of squared deviations from it.
pub fn moments(y: &[f64], channels: usize) -> (f64, Vec<f64>, Vec<f64>) {
    let count = (y.len() / channels) as f64;
    let mut mean = vec![0.0; channels];
    for pixel in y.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(m, y)| *m += y);
    }
    mean.iter_mut().for_each(|m| *m /= count);
    let mut squares = vec![0.0; channels];
    for pixel in y.chunks_exact(channels) {
        for ((s, m), y) in squares.iter_mut().zip(&mean).zip(pixel) {
            *s += (y - m) * (y - m);
        }
    }
    (count, mean, squares)
}

/// `(y - mean) / sqrt(variance + epsilon)`.
pub fn standardize(y: &[f64], mean: &[f64], variance: &[f64], epsilon: f64) -> Vec<f64> {
    let channels = mean.len();
    let deviation: Vec<f64> = variance.iter().map(|v| (v + epsilon).sqrt()).collect();
    y.iter().enumerate().map(|(i, y)| (y - mean[i % channels]) / deviation[i % channels]).collect()
}

/// `gamma * xhat + beta`; without an affine part, `xhat`.
pub fn scale_and_shift(xhat: &mut [f64], affine: Option<(&[f64], &[f64])>) {
    if let Some((gamma, beta)) = affine {
        let channels = gamma.len();
        xhat.iter_mut().enumerate().for_each(|(i, x)| *x = gamma[i % channels] * *x + beta[i % channels]);
    }
}

/// Gradients under batch statistics of y, gamma and beta, from the gradient of z.
pub fn backward(
    y: &[f64],
    mean: &[f64],
    variance: &[f64],
    epsilon: f64,
    gamma: Option<&[f64]>,
    dz: &[f64],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let channels = mean.len();
    let count = (y.len() / channels) as f64;
    let xhat = standardize(y, mean, variance, epsilon);
    let mut dbeta = vec![0.0; channels];
    let mut dgamma = vec![0.0; channels];
    for (i, dz) in dz.iter().enumerate() {
        dbeta[i % channels] += dz;
        dgamma[i % channels] += dz * xhat[i];
    }
    let dy = (dz.iter().enumerate())
        .map(|(i, dz)| {
            let c = i % channels;
            let scale = gamma.map_or(1.0, |gamma| gamma[c]) / (variance[c] + epsilon).sqrt();
            scale * (dz - dbeta[c] / count - xhat[i] * dgamma[c] / count)
        })
        .collect();
    (dy, dgamma, dbeta)
}

/// Rows of a normalization, `[row][channel]`, as kernels have them (kernels/stage.cuh), and what they compute with them, in f32.
pub struct Rows(pub Vec<f32>);

impl Rows {
    pub const MEAN: usize = 0;
    pub const SCALE: usize = 1;
    pub const SHIFT: usize = 2;
    pub const RSTD: usize = 3;
    /// Means over the mini-batch of dz and of dz * xhat.
    pub const M1: usize = 4;
    pub const M2: usize = 5;
    /// What takes dz to the gradient of y: `-SCALE * RSTD * M2` and `-SCALE * M1`.
    const SLOPE: usize = 6;
    const OFFSET: usize = 7;
    pub const COUNT: usize = Stage::NORMALIZATION_ROWS;

    pub fn new(mean: &[f64], variance: &[f64], epsilon: f64, affine: Option<(&[f64], &[f64])>) -> Self {
        let mut rows = Self(vec![0.0; Self::COUNT * mean.len()]);
        for channel in 0..mean.len() {
            let rstd = 1.0 / (variance[channel] + epsilon).sqrt();
            let [gamma, beta] = affine.map_or([1.0, 0.0], |(gamma, beta)| [gamma[channel], beta[channel]]);
            for (row, value) in
                [(Self::MEAN, mean[channel]), (Self::SCALE, rstd * gamma), (Self::SHIFT, beta), (Self::RSTD, rstd)]
            {
                rows.row_mut(row)[channel] = value as f32;
            }
        }
        rows
    }

    /// Sets the means of dz and of dz * xhat, and what follows from them.
    pub fn set_means(&mut self, means: [&[f32]; 2]) {
        for channel in 0..self.channels() {
            let [scale, rstd] = [Self::SCALE, Self::RSTD].map(|row| self.row(row)[channel]);
            let [m1, m2] = means.map(|means| means.get(channel).copied().unwrap_or_default());
            for (row, value) in
                [(Self::M1, m1), (Self::M2, m2), (Self::SLOPE, -scale * rstd * m2), (Self::OFFSET, -scale * m1)]
            {
                self.row_mut(row)[channel] = value;
            }
        }
    }

    pub fn channels(&self) -> usize {
        self.0.len() / Self::COUNT
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.0[row * self.channels()..][..self.channels()]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let channels = self.channels();
        &mut self.0[row * channels..][..channels]
    }

    /// z, from `[pixel][channel]`.
    pub fn normalize(&self, y: &[f32]) -> Vec<f32> {
        let of = |(index, y): (usize, &f32)| {
            let row = |row: usize| self.row(row)[index % self.channels()];
            (y - row(Self::MEAN)).mul_add(row(Self::SCALE), row(Self::SHIFT))
        };
        y.iter().enumerate().map(of).collect()
    }

    /// The gradient of y.
    pub fn raw_gradient(&self, dz: &[f32], y: &[f32]) -> Vec<f32> {
        let of = |(index, (dz, y)): (usize, (&f32, &f32))| {
            let row = |row: usize| self.row(row)[index % self.channels()];
            dz.mul_add(row(Self::SCALE), (y - row(Self::MEAN)).mul_add(row(Self::SLOPE), row(Self::OFFSET)))
        };
        dz.iter().zip(y).enumerate().map(of).collect()
    }

    /// The sums of dz, and of dz * xhat.
    pub fn gradient_sums(&self, dz: &[f32], y: &[f32]) -> [GradientSums; 2] {
        let channels = self.channels();
        let mut both = [(); 2].map(|()| GradientSums { sums: vec![0.0; channels], magnitudes: vec![0.0; channels] });
        for (index, (dz, y)) in dz.iter().zip(y).enumerate() {
            let (channel, dz) = (index % channels, f64::from(*dz));
            let row = |row: usize| f64::from(self.row(row)[channel]);
            let terms = [dz, dz * (f64::from(*y) - row(Self::MEAN)) * row(Self::RSTD)];
            for (GradientSums { sums, magnitudes }, term) in both.iter_mut().zip(terms) {
                sums[channel] += term;
                magnitudes[channel] += term.abs();
            }
        }
        both
    }
}

/// One sum a channel, and that of its terms' magnitudes.
pub struct GradientSums {
    pub sums: Vec<f64>,
    pub magnitudes: Vec<f64>,
}
