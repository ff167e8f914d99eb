//! `y = concat(w1 * x, w2 * x[1:, 1:])`, both 1x1 convolutions of stride 2 (arXiv 1806.09055).
//!
//! Feature maps are NHWC without channel padding, weights in PyTorch's order `[output][input]`.

use crate::ops::convolution::reference as convolution;
use crate::ops::{Convolution, FactorizedReduce, Window};
use crate::tensor::Shape;

/// One of the two convolutions and the pixels that it sees: those from (`first`, `first`) on.
fn half(op: &FactorizedReduce, first: usize) -> Convolution {
    let input = Shape::new(op.input.height - first, op.input.width - first, op.input.channels);
    let window = Window::same(1, 2, 1);
    Convolution { window, input, output: window.output_shape(input, op.output.channels / 2) }
}

/// Place in `x` of every number of the map that a half sees.
fn seen(op: &FactorizedReduce, first: usize, images: usize) -> impl Iterator<Item = usize> + use<> {
    let Shape { height, width, channels } = op.input;
    let row = move |image: usize, y: usize| (image * height + y) * width;
    let pixels = (0..images)
        .flat_map(move |image| (first..height).flat_map(move |y| (first..width).map(move |x| row(image, y) + x)));
    pixels.flat_map(move |pixel| pixel * channels..(pixel + 1) * channels)
}

pub fn forward(op: &FactorizedReduce, x: &[f64], weights: [&[f64]; 2]) -> Vec<f64> {
    let images = x.len() / (op.input.pixels() * op.input.channels);
    let [first, second] = [0, 1].map(|first| {
        let part: Vec<f64> = seen(op, first, images).map(|at| x[at]).collect();
        convolution::forward(&half(op, first), &part, weights[first])
    });
    let channels = op.output.channels / 2;
    first.chunks(channels).zip(second.chunks(channels)).flat_map(|(first, second)| [first, second].concat()).collect()
}

/// Gradients of the input and of both weights.
pub fn backward(op: &FactorizedReduce, x: &[f64], weights: [&[f64]; 2], dy: &[f64]) -> (Vec<f64>, [Vec<f64>; 2]) {
    let images = x.len() / (op.input.pixels() * op.input.channels);
    let channels = op.output.channels / 2;
    let mut dx = vec![0.0; x.len()];
    let dw = [0, 1].map(|first| {
        let part: Vec<f64> = seen(op, first, images).map(|at| x[at]).collect();
        let dy: Vec<f64> = dy.chunks(channels).skip(first).step_by(2).flatten().copied().collect();
        let (dpart, dw) = convolution::backward(&half(op, first), &part, weights[first], &dy);
        seen(op, first, images).zip(dpart).for_each(|(at, gradient)| dx[at] += gradient);
        dw
    });
    (dx, dw)
}
