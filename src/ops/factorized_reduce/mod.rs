//! Factorized reduction.

pub mod cpu;
mod cuda;
pub mod reference;

use super::input::{Moments, OutputGradient, SegmentGradient};
use super::{Images, Kind, LayerWindow, Linear, Operation, Place, Unfit, WeightShape};
use crate::tensor::Shape;

/// Halves height and width, which are even: a 1x1 convolution of stride 2 makes the first half of the output channels, another one that starts one pixel further
/// down and right the second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorizedReduce {
    pub input: Shape,
    pub output: Shape,
}

pub const KINDS: &[Kind] = &[Kind {
    name: "factorized_reduce",
    title: "factorized reduction",
    weights: 2,
    window: LayerWindow::Fixed { stride: 2 },
    keeps_channels: false,
    takes_bias: false,
    build,
}];

fn build(place: &Place) -> Result<Operation, Unfit> {
    let Place { input, outputs, .. } = *place;
    if !input.height.is_multiple_of(2) || !input.width.is_multiple_of(2) {
        return Err(Unfit(format!(
            "has no two halves of one size for {input}; use images whose height and width can be halved at every reduction"
        )));
    }
    if !outputs.is_multiple_of(2) {
        return Err(Unfit(format!("cannot make {outputs} channels in two halves; choose even channels")));
    }
    Ok(FactorizedReduce { input, output: place.output() }.into())
}

impl Linear for FactorizedReduce {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn flops(&self) -> u64 {
        2 * (self.output.pixels() * self.input.channels * self.output.channels) as u64
    }

    fn weights(&self) -> Vec<WeightShape> {
        let channels = self.output.channels;
        let halves = [0..channels / 2, channels / 2..channels];
        halves.map(|outputs| WeightShape::Columns { outputs, channels }).into()
    }

    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x, [weights[0], weights[1]])
    }

    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (dx, dw) = reference::backward(self, x, [weights[0], weights[1]], dy);
        (dx, dw.into())
    }

    fn cpu_forward(&self, images: Images, weights: &[&[f32]], output: &mut [f32], moments: Option<&mut Moments>) {
        cpu::forward(self, images, [weights[0], weights[1]], output, moments);
    }

    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]) {
        cpu::prepare_backward(self, [weights[0], weights[1]], prepared);
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
        cpu::backward(self, images, prepared, output_gradient, segment_gradients, weight_gradients);
    }
}
