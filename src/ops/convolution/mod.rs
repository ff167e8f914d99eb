//! Dense convolution.

pub mod cpu;
pub mod cuda;
pub mod reference;

use super::input::{Moments, OutputGradient, SegmentGradient};
use super::{Images, Kind, LayerWindow, Linear, WeightShape, Window};
use crate::tensor::Shape;

/// A dense convolution, `kernel x kernel`, any input channels to any output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

pub const KINDS: &[Kind] = &[Kind {
    name: "convolution",
    title: "convolution",
    weights: 1,
    window: LayerWindow::Odd,
    keeps_channels: false,
    takes_bias: true,
    build: |place| Ok(Convolution { window: place.window, input: place.input, output: place.output() }.into()),
}];

impl Linear for Convolution {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn flops(&self) -> u64 {
        2 * (self.output.pixels() * self.window.taps() * self.input.channels * self.output.channels) as u64
    }

    fn weights(&self) -> Vec<WeightShape> {
        vec![WeightShape::Dense { outputs: self.output.channels, kernel: self.window.kernel }]
    }

    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x, weights[0])
    }

    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (dx, dw) = reference::backward(self, x, weights[0], dy);
        (dx, vec![dw])
    }

    fn cpu_forward(&self, images: Images, weights: &[&[f32]], output: &mut [f32], moments: Option<&mut Moments>) {
        cpu::forward(self, images, weights[0], output, moments);
    }

    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]) {
        cpu::prepare_backward(self, weights[0], prepared);
    }

    fn cpu_backward(
        &self,
        images: Images,
        _weights: &[&[f32]],
        prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradients: Option<&mut [&mut [f32]]>,
    ) {
        let gradient = weight_gradients.map(|gradients| &mut *gradients[0]);
        cpu::backward(self, images, prepared, output_gradient, segment_gradients, gradient);
    }

    fn cpu_scratch_len(&self, inputs: usize) -> usize {
        cpu::scratch_len(self, inputs)
    }
}
