//! The textbook formulas in `f64`, for the tests of the vector kernels.

use super::Window;
use super::input::{Input, OutputGradient};

/// A tensor `[image][row][column][channel]`.
#[derive(Clone, Debug)]
pub struct Maps {
    pub images: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub values: Vec<f64>,
}

impl Maps {
    pub fn zero(images: usize, (height, width): (usize, usize), channels: usize) -> Self {
        Self { images, height, width, channels, values: vec![0.0; images * height * width * channels] }
    }

    pub fn index(&self, image: usize, row: usize, column: usize, channel: usize) -> usize {
        ((image * self.height + row) * self.width + column) * self.channels + channel
    }

    /// Every (image, row, column) in order.
    pub fn pixels(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let (images, height, width) = (self.images, self.height, self.width);
        (0..images).flat_map(move |i| (0..height).flat_map(move |y| (0..width).map(move |x| (i, y, x))))
    }
}

/// The input pixel that tap `(ky, kx)` of output `(row, column)` sees, if it is one.
pub fn seen(window: &Window, map: &Maps, at: (usize, usize), tap: (usize, usize)) -> Option<(usize, usize)> {
    let row = (at.0 * window.stride + tap.0 * window.dilation).checked_sub(window.padding)?;
    let column = (at.1 * window.stride + tap.1 * window.dilation).checked_sub(window.padding)?;
    (row < map.height && column < map.width).then_some((row, column))
}

/// Taps in row-major order.
pub fn taps(window: &Window) -> impl Iterator<Item = (usize, (usize, usize))> + use<> {
    let kernel = window.kernel;
    (0..kernel * kernel).map(move |tap| (tap, (tap / kernel, tap % kernel)))
}

/// The normalized, concatenated input before and after ReLU.
pub fn normalized(input: &Input, images: usize, size: (usize, usize)) -> (Maps, Maps) {
    let mut before = Maps::zero(images, size, input.channels());
    for (image, row, column) in before.pixels() {
        let mut offset = 0;
        for segment in input.segments {
            for c in 0..segment.channels {
                let y = f64::from(segment.values[((image * size.0 + row) * size.1 + column) * segment.channels + c]);
                let z = segment
                    .normalize
                    .map_or(y, |n| (y - f64::from(n.mean[c])) * f64::from(n.scale[c]) + f64::from(n.shift[c]));
                let at = before.index(image, row, column, offset + c);
                before.values[at] = z;
            }
            offset += segment.channels;
        }
    }
    let mut after = before.clone();
    if input.relu {
        after.values.iter_mut().for_each(|z| *z = z.max(0.0));
    }
    (before, after)
}

/// The gradient of the raw output.
pub fn output_gradient(gradient: &OutputGradient, images: usize, size: (usize, usize), channels: usize) -> Maps {
    let mut dy = Maps::zero(images, size, channels);
    for (at, value) in dy.values.iter_mut().enumerate() {
        let (c, dz) = (at % channels, f64::from(gradient.dz[at]));
        *value = gradient.normalize.map_or(dz, |n| {
            let [mean, rstd, k, m1, m2] = [n.mean, n.rstd, n.k, n.m1, n.m2].map(|array| f64::from(array[c]));
            k * (dz - m1 - (f64::from(gradient.y[at]) - mean) * rstd * m2)
        });
    }
    dy
}

/// `weights = [tap][ci][co]`.
pub fn convolution(window: &Window, x: &Maps, weights: &[f64], outputs: usize) -> Maps {
    let mut y = Maps::zero(x.images, (window.output_size(x.height), window.output_size(x.width)), outputs);
    for (image, row, column) in y.pixels() {
        for (tap, place) in taps(window) {
            let Some((from_row, from_column)) = seen(window, x, (row, column), place) else { continue };
            for ci in 0..x.channels {
                for co in 0..outputs {
                    let at = y.index(image, row, column, co);
                    y.values[at] += x.values[x.index(image, from_row, from_column, ci)]
                        * weights[(tap * x.channels + ci) * outputs + co];
                }
            }
        }
    }
    y
}

/// Gradients of the input and of the weights.
pub fn convolution_backward(window: &Window, x: &Maps, weights: &[f64], dy: &Maps) -> (Maps, Vec<f64>) {
    let mut dx = Maps::zero(x.images, (x.height, x.width), x.channels);
    let mut dw = vec![0.0; weights.len()];
    for (image, row, column) in dy.pixels() {
        for (tap, place) in taps(window) {
            let Some((from_row, from_column)) = seen(window, x, (row, column), place) else { continue };
            for ci in 0..x.channels {
                for co in 0..dy.channels {
                    let gradient = dy.values[dy.index(image, row, column, co)];
                    let (at, weight) =
                        (x.index(image, from_row, from_column, ci), (tap * x.channels + ci) * dy.channels + co);
                    dx.values[at] += gradient * weights[weight];
                    dw[weight] += gradient * x.values[at];
                }
            }
        }
    }
    (dx, dw)
}

/// A depthwise filter `[tap][c]` as the weights `[tap][ci][co]` of a dense convolution, or back (the diagonal).
pub fn diagonal(depthwise: &[f64], channels: usize) -> Vec<f64> {
    let mut dense = vec![0.0; depthwise.len() * channels];
    for (at, &weight) in depthwise.iter().enumerate() {
        dense[at * channels + at % channels] = weight;
    }
    dense
}

/// `(sum dz, sum dz * xhat)` per channel.
pub fn sums(dz: &[f64], y: &[f32], mean: &[f32], rstd: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let channels = mean.len();
    let (mut plain, mut xhat) = (vec![0.0; channels], vec![0.0; channels]);
    for (at, &dz) in dz.iter().enumerate() {
        let c = at % channels;
        plain[c] += dz;
        xhat[c] += dz * (f64::from(y[at]) - f64::from(mean[c])) * f64::from(rstd[c]);
    }
    (plain, xhat)
}

/// `|a - b| / |b|` in the Euclidean norm; 0 where both are zero.
pub fn error<T: Copy + Into<f64>>(a: &[T], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: f64 = a.iter().zip(b).map(|(&a, &b)| (a.into() - b).powi(2)).sum();
    let norm: f64 = b.iter().map(|b| b * b).sum();
    if difference == 0.0 { 0.0 } else { (difference / norm).sqrt() }
}
