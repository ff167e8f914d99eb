//! A depthwise convolution `h[n, p, c] = sum over taps t of w[c, t] * x[n, p * stride + t * dilation - padding, c]`, then a 1x1
//! convolution of h. Feature maps are NHWC without channel padding, weights in PyTorch's order.

use crate::ops::convolution::reference::{self as convolution, taps};
use crate::ops::{Convolution, DepthwiseSeparable, Window};
use crate::tensor::Shape;
use rayon::prelude::*;

/// Shape between the two convolutions.
fn middle(op: &DepthwiseSeparable) -> Shape {
    Shape::new(op.output.height, op.output.width, op.input.channels)
}

/// The second convolution.
pub fn pointwise(op: &DepthwiseSeparable) -> Convolution {
    Convolution { window: Window::same(1, 1, 1), input: middle(op), output: op.output }
}

/// h; `add(sum, weight, x)` adds a tap.
pub fn filter(
    op: &DepthwiseSeparable,
    x: &[f64],
    weights: &[f64],
    add: impl Fn(f64, f64, f64) -> f64 + Sync,
) -> Vec<f64> {
    let (channels, count) = (op.input.channels, op.window.taps());
    let images = x.len() / (op.input.pixels() * channels);
    let mut h = vec![0.0; images * op.output.pixels() * channels];
    h.par_chunks_mut(op.output.pixels() * channels).zip(x.par_chunks(op.input.pixels() * channels)).for_each(
        |(h, x)| {
            for (pixel, tap, source) in taps(op.window, op.input, op.output) {
                for channel in 0..channels {
                    let h = &mut h[pixel * channels + channel];
                    *h = add(*h, weights[channel * count + tap], x[source * channels + channel]);
                }
            }
        },
    );
    h
}

/// Gradients of the input and of the depthwise weights, from that of h.
pub fn filter_backward(op: &DepthwiseSeparable, x: &[f64], weights: &[f64], dh: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (channels, count) = (op.input.channels, op.window.taps());
    let mut dx = vec![0.0; x.len()];
    let partials: Vec<Vec<f64>> = dx
        .par_chunks_mut(op.input.pixels() * channels)
        .zip(x.par_chunks(op.input.pixels() * channels))
        .zip(dh.par_chunks(op.output.pixels() * channels))
        .map(|((dx, x), dh)| {
            let mut dw = vec![0.0; weights.len()];
            for (pixel, tap, source) in taps(op.window, op.input, op.output) {
                for channel in 0..channels {
                    let gradient = dh[pixel * channels + channel];
                    dx[source * channels + channel] += weights[channel * count + tap] * gradient;
                    dw[channel * count + tap] += x[source * channels + channel] * gradient;
                }
            }
            dw
        })
        .collect();
    let dw = (0..weights.len()).map(|i| partials.iter().map(|partial| partial[i]).sum()).collect();
    (dx, dw)
}

fn exact(sum: f64, weight: f64, x: f64) -> f64 {
    sum + weight * x
}

pub fn forward(op: &DepthwiseSeparable, x: &[f64], depthwise_weights: &[f64], pointwise_weights: &[f64]) -> Vec<f64> {
    convolution::forward(&pointwise(op), &filter(op, x, depthwise_weights, exact), pointwise_weights)
}

/// Gradients of the input, the depthwise and the pointwise weights.
pub fn backward(
    op: &DepthwiseSeparable,
    x: &[f64],
    depthwise_weights: &[f64],
    pointwise_weights: &[f64],
    dy: &[f64],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let h = filter(op, x, depthwise_weights, exact);
    let (dh, pointwise_gradient) = convolution::backward(&pointwise(op), &h, pointwise_weights, dy);
    let (dx, depthwise_gradient) = filter_backward(op, x, depthwise_weights, &dh);
    (dx, depthwise_gradient, pointwise_gradient)
}
