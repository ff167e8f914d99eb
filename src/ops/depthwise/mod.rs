//! Depthwise convolution followed by a pointwise one, with nothing between.

pub mod cpu;
mod cuda;
mod filter;
pub mod reference;
mod weights;

pub(crate) use filter::Filter;
pub(crate) use weights::FilterWeights;

use super::input::{Moments, OutputGradient, SegmentGradient};
use super::{Filtering, Images, Kind, LayerWindow, Linear, Operation, WeightShape, Window};
use crate::tensor::Shape;
use cpu::{WeightGradients, Weights};

/// A depthwise convolution (one filter a channel) followed by a pointwise one (1x1, dense), with nothing between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseSeparable {
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

/// Its weights: depthwise, pointwise.
pub const KINDS: &[Kind] = &[Kind {
    name: "depthwise_separable",
    title: "depthwise separable",
    weights: 2,
    window: LayerWindow::Odd,
    keeps_channels: false,
    takes_bias: false,
    build: |place| Ok(DepthwiseSeparable { window: place.window, input: place.input, output: place.output() }.into()),
}];

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

    fn weights(&self) -> Vec<WeightShape> {
        let pointwise = WeightShape::Dense { outputs: self.output.channels, kernel: 1 };
        vec![WeightShape::Depthwise { kernel: self.window.kernel }, pointwise]
    }

    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x, weights[0], weights[1])
    }

    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (dx, depthwise, pointwise) = reference::backward(self, x, weights[0], weights[1], dy);
        (dx, vec![depthwise, pointwise])
    }

    fn filtering(&self) -> Option<&dyn Filtering> {
        Some(self)
    }

    fn cpu_forward(&self, images: Images, weights: &[&[f32]], output: &mut [f32], moments: Option<&mut Moments>) {
        cpu::forward(self, images, Weights { depthwise: weights[0], pointwise: weights[1] }, output, moments);
    }

    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]) {
        cpu::prepare_backward(self, Weights { depthwise: weights[0], pointwise: weights[1] }, prepared);
    }

    fn cpu_backward(
        &self,
        images: Images,
        weights: &[&[f32]],
        prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradients: Option<&mut [&mut [f32]]>,
    ) {
        let gradients = weight_gradients.map(|gradients| {
            let (depthwise, pointwise) = gradients.split_at_mut(1);
            WeightGradients { depthwise: depthwise[0], pointwise: pointwise[0] }
        });
        // Of the weights it takes the depthwise ones alone: the others are prepared.
        cpu::backward(self, images, weights[0], prepared, output_gradient, segment_gradients, gradients);
    }
}

impl Filtering for DepthwiseSeparable {
    fn filter(&self, x: &[f64], weights: &[f64]) -> Vec<f64> {
        reference::filter(self, x, weights, |sum, weight, x| f64::from((weight as f32).mul_add(x as f32, sum as f32)))
    }

    fn filter_backward(&self, x: &[f64], weights: &[f64], gradient: &[f64]) -> (Vec<f64>, Vec<f64>) {
        reference::filter_backward(self, x, weights, gradient)
    }

    fn product(&self) -> Operation {
        reference::pointwise(self).into()
    }
}
