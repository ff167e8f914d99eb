//! The largest or the mean value under the window, border taps left out. Feature maps are NHWC without channel padding.

use crate::ops::convolution::reference::tap;
use crate::ops::pool::{Pool, PoolKind};
use rayon::prelude::*;

/// Input pixels under the window of one output pixel, in row-major order.
fn sources(op: &Pool, pixel: usize) -> Vec<usize> {
    let at = (pixel / op.output.width, pixel % op.output.width);
    let kernel = op.window.kernel;
    (0..op.window.taps()).filter_map(|t| tap(&op.window, op.input, at, (t / kernel, t % kernel))).collect()
}

/// Pixel of the largest value of a channel: strict `>`, so the first wins a tie; NaN wins.
fn argmax(x: &[f64], sources: &[usize], channels: usize, channel: usize) -> usize {
    let mut best = sources[0];
    for &source in &sources[1..] {
        let (value, largest) = (x[source * channels + channel], x[best * channels + channel]);
        if value > largest || value.is_nan() {
            best = source;
        }
    }
    best
}

pub fn forward(op: &Pool, x: &[f64]) -> Vec<f64> {
    let channels = op.input.channels;
    let images = x.len() / (op.input.pixels() * channels);
    let mut y = vec![0.0; images * op.output.pixels() * channels];
    y.par_chunks_mut(op.output.pixels() * channels).zip(x.par_chunks(op.input.pixels() * channels)).for_each(
        |(y, x)| {
            for (pixel, y) in y.chunks_mut(channels).enumerate() {
                let sources = sources(op, pixel);
                for (channel, y) in y.iter_mut().enumerate() {
                    *y = match op.kind {
                        PoolKind::Max => x[argmax(x, &sources, channels, channel) * channels + channel],
                        PoolKind::Average => {
                            sources.iter().map(|s| x[s * channels + channel]).sum::<f64>() / sources.len() as f64
                        }
                    };
                }
            }
        },
    );
    y
}

/// Gradient of the input.
pub fn backward(op: &Pool, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let channels = op.input.channels;
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(op.input.pixels() * channels)
        .zip(x.par_chunks(op.input.pixels() * channels))
        .zip(dy.par_chunks(op.output.pixels() * channels))
        .for_each(|((dx, x), dy)| {
            for (pixel, dy) in dy.chunks(channels).enumerate() {
                let sources = sources(op, pixel);
                for (channel, gradient) in dy.iter().enumerate() {
                    match op.kind {
                        PoolKind::Max => dx[argmax(x, &sources, channels, channel) * channels + channel] += gradient,
                        PoolKind::Average => {
                            let share = gradient / sources.len() as f64;
                            sources.iter().for_each(|s| dx[s * channels + channel] += share);
                        }
                    }
                }
            }
        });
    dx
}
