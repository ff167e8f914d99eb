//! Max and average pooling.

pub mod cpu;
pub mod cuda;
mod maximum;
pub mod reference;
#[cfg(test)]
mod tests;

use super::input::{Input, Moments, OutputGradient, SegmentGradient};
use super::{Linear, Pool};
use crate::simd::{Level, Scratch};
use crate::tensor::Shape;

impl Linear for Pool {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn flops(&self) -> u64 {
        (self.output.pixels() * self.output.channels * self.window.taps()) as u64
    }

    fn weight_count(&self) -> usize {
        0
    }

    fn reference_forward(&self, x: &[f64], _weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x)
    }

    fn reference_backward(&self, x: &[f64], _weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        (reference::backward(self, x, dy), Vec::new())
    }

    fn cpu_forward(
        &self,
        level: Level,
        input: &Input,
        images: usize,
        _weights: &[&[f32]],
        output: &mut [f32],
        moments: Option<&mut Moments>,
        scratch: &mut Scratch,
    ) {
        cpu::forward(level, self, input, images, output, moments, scratch);
    }

    fn cpu_prepare_backward(&self, _weights: &[&[f32]], _prepared: &mut [f32]) {}

    fn cpu_backward(
        &self,
        level: Level,
        input: &Input,
        images: usize,
        _weights: &[&[f32]],
        _prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        _weight_gradients: Option<&mut [&mut [f32]]>,
        scratch: &mut Scratch,
    ) {
        if let Some(gradients) = segment_gradients {
            cpu::backward(level, self, input, images, output_gradient, gradients, scratch);
        }
    }
}
