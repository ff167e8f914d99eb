//! `y[n, p, o] = sum over taps t, inputs i of w[o, i, t] * x[n, p * stride + t * dilation - padding, i]`, zero outside.
//!
//! Feature maps are NHWC without channel padding, weights in PyTorch's order `[output][input][ky][kx]`.

use crate::ops::{Convolution, Window};
use crate::tensor::Shape;
use rayon::prelude::*;

/// Pixel of the input under tap (`ky`, `kx`) of output pixel (`row`, `column`), if it is inside.
pub fn tap(window: &Window, input: Shape, (row, column): (usize, usize), (ky, kx): (usize, usize)) -> Option<usize> {
    let y = (row * window.stride + ky * window.dilation).checked_sub(window.padding)?;
    let x = (column * window.stride + kx * window.dilation).checked_sub(window.padding)?;
    (y < input.height && x < input.width).then_some(y * input.width + x)
}

/// Every (output pixel, tap number, input pixel) of one image, in row-major order of output pixels, then taps.
pub fn taps(window: Window, input: Shape, output: Shape) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..output.pixels()).flat_map(move |pixel| {
        let at = (pixel / output.width, pixel % output.width);
        (0..window.taps()).filter_map(move |number| {
            let source = tap(&window, input, at, (number / window.kernel, number % window.kernel))?;
            Some((pixel, number, source))
        })
    })
}

/// `[output][input][tap]` to `[tap][input][output]`.
fn by_tap(op: &Convolution, weights: &[f64]) -> Vec<f64> {
    let (taps, inputs, outputs) = (op.window.taps(), op.input.channels, op.output.channels);
    let mut result = vec![0.0; weights.len()];
    for (index, weight) in weights.iter().enumerate() {
        let (output, input, tap) = (index / taps / inputs, index / taps % inputs, index % taps);
        result[(tap * inputs + input) * outputs + output] = *weight;
    }
    result
}

pub fn forward(op: &Convolution, x: &[f64], weights: &[f64]) -> Vec<f64> {
    let (inputs, outputs) = (op.input.channels, op.output.channels);
    let weights = by_tap(op, weights);
    let images = x.len() / (op.input.pixels() * inputs);
    let mut y = vec![0.0; images * op.output.pixels() * outputs];
    y.par_chunks_mut(op.output.pixels() * outputs).zip(x.par_chunks(op.input.pixels() * inputs)).for_each(|(y, x)| {
        for (pixel, tap, source) in taps(op.window, op.input, op.output) {
            let y = &mut y[pixel * outputs..][..outputs];
            let x = &x[source * inputs..][..inputs];
            for (value, row) in x.iter().zip(weights[tap * inputs * outputs..].chunks_exact(outputs)) {
                y.iter_mut().zip(row).for_each(|(y, w)| *y += value * w);
            }
        }
    });
    y
}

/// Gradients of the input and of the weights.
pub fn backward(op: &Convolution, x: &[f64], weights: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (inputs, outputs, count) = (op.input.channels, op.output.channels, op.window.taps());
    let weights = by_tap(op, weights);
    let mut dx = vec![0.0; x.len()];
    let partials: Vec<Vec<f64>> = dx
        .par_chunks_mut(op.input.pixels() * inputs)
        .zip(x.par_chunks(op.input.pixels() * inputs))
        .zip(dy.par_chunks(op.output.pixels() * outputs))
        .map(|((dx, x), dy)| {
            let mut dw = vec![0.0; weights.len()];
            for (pixel, tap, source) in taps(op.window, op.input, op.output) {
                let dy = &dy[pixel * outputs..][..outputs];
                let start = tap * inputs * outputs;
                for input in 0..inputs {
                    let at = start + input * outputs;
                    let value = x[source * inputs + input];
                    dx[source * inputs + input] +=
                        dy.iter().zip(&weights[at..at + outputs]).map(|(g, w)| g * w).sum::<f64>();
                    dw[at..at + outputs].iter_mut().zip(dy).for_each(|(w, g)| *w += value * g);
                }
            }
            dw
        })
        .collect();
    let mut dw = vec![0.0; weights.len()];
    for (index, value) in dw.iter_mut().enumerate() {
        let (output, input, tap) = (index / count / inputs, index / count % inputs, index % count);
        let at = (tap * inputs + input) * outputs + output;
        *value = partials.iter().map(|partial| partial[at]).sum();
    }
    (dx, dw)
}
