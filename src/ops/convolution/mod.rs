//! Dense convolution.

pub mod cpu;
pub mod cuda;
pub mod reference;

use super::input::{Input, Moments, OutputGradient, SegmentGradient};
use super::{Convolution, Linear};
use crate::simd::{Level, Scratch};
use crate::tensor::Shape;

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

    fn weight_count(&self) -> usize {
        1
    }

    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x, weights[0])
    }

    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (dx, dw) = reference::backward(self, x, weights[0], dy);
        (dx, vec![dw])
    }

    fn cpu_forward(
        &self,
        level: Level,
        input: &Input,
        images: usize,
        weights: &[&[f32]],
        output: &mut [f32],
        moments: Option<&mut Moments>,
        scratch: &mut Scratch,
    ) {
        cpu::forward(level, self, input, images, weights[0], output, moments, scratch);
    }

    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]) {
        cpu::prepare_backward(self, weights[0], prepared);
    }

    fn cpu_backward(
        &self,
        level: Level,
        input: &Input,
        images: usize,
        _weights: &[&[f32]],
        prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradients: Option<&mut [&mut [f32]]>,
        scratch: &mut Scratch,
    ) {
        let gradient = weight_gradients.map(|gradients| &mut *gradients[0]);
        cpu::backward(level, self, input, images, prepared, output_gradient, segment_gradients, gradient, scratch);
    }

    fn cpu_scratch_len(&self, inputs: usize) -> usize {
        cpu::scratch_len(self, inputs)
    }
}
