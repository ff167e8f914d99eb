//! Depthwise convolution followed by a pointwise one, with nothing between.

pub mod cpu;
pub mod cuda;
mod filter;
pub mod reference;
mod weights;

pub(crate) use filter::Filter;

use super::input::{Input, Moments, OutputGradient, SegmentGradient};
use super::{DepthwiseSeparable, Linear};
use crate::simd::{Level, Scratch};
use crate::tensor::Shape;
use cpu::{WeightGradients, Weights};

impl DepthwiseSeparable {
    pub fn depthwise_flops(&self) -> u64 {
        2 * (self.output.pixels() * self.window.taps() * self.input.channels) as u64
    }

    pub fn pointwise_flops(&self) -> u64 {
        2 * (self.output.pixels() * self.input.channels * self.output.channels) as u64
    }
}

impl Linear for DepthwiseSeparable {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn flops(&self) -> u64 {
        self.depthwise_flops() + self.pointwise_flops()
    }

    fn weight_count(&self) -> usize {
        2
    }

    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x, weights[0], weights[1])
    }

    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (dx, depthwise, pointwise) = reference::backward(self, x, weights[0], weights[1], dy);
        (dx, vec![depthwise, pointwise])
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
        let weights = Weights { depthwise: weights[0], pointwise: weights[1] };
        cpu::forward(level, self, input, images, weights, output, moments, scratch);
    }

    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]) {
        cpu::prepare_backward(self, Weights { depthwise: weights[0], pointwise: weights[1] }, prepared);
    }

    fn cpu_backward(
        &self,
        level: Level,
        input: &Input,
        images: usize,
        weights: &[&[f32]],
        prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradients: Option<&mut [&mut [f32]]>,
        scratch: &mut Scratch,
    ) {
        let weights = Weights { depthwise: weights[0], pointwise: weights[1] };
        let gradients = weight_gradients.map(|gradients| {
            let (depthwise, pointwise) = gradients.split_at_mut(1);
            WeightGradients { depthwise: depthwise[0], pointwise: pointwise[0] }
        });
        cpu::backward(
            level,
            self,
            input,
            images,
            weights,
            prepared,
            output_gradient,
            segment_gradients,
            gradients,
            scratch,
        );
    }
}
