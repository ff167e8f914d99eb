//! Max and average pooling.

pub mod cpu;
mod cuda;
mod maximum;
pub mod reference;
#[cfg(test)]
mod tests;

use super::input::{Moments, OutputGradient, SegmentGradient};
use super::{Images, Kind, LayerWindow, Linear, Operation, Place, Unfit, WeightShape, Window};
use crate::tensor::Shape;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest valid tap; strict `>`, so the first in row-major order wins a tie; NaN wins.
    Max,
    /// The mean over the valid taps only.
    Average,
}

/// A pooling window over each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    pub kind: PoolKind,
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

pub const KINDS: &[Kind] = &[
    kind("max_pool", "max pool", |place| Ok(pool(PoolKind::Max, place))),
    kind("average_pool", "average pool", |place| Ok(pool(PoolKind::Average, place))),
];

const fn kind(name: &'static str, title: &'static str, build: fn(&Place) -> Result<Operation, Unfit>) -> Kind {
    let window = LayerWindow::OddOrTiles;
    Kind { name, title, weights: 0, window, keeps_channels: true, takes_bias: false, build }
}

fn pool(kind: PoolKind, place: &Place) -> Operation {
    Pool { kind, window: place.window, input: place.input, output: place.output() }.into()
}

impl Linear for Pool {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    /// It keeps the padding of its segments.
    fn stored_outputs(&self, inputs: usize) -> usize {
        inputs
    }

    fn flops(&self) -> u64 {
        (self.output.pixels() * self.output.channels * self.window.taps()) as u64
    }

    fn weights(&self) -> Vec<WeightShape> {
        Vec::new()
    }

    fn reference_forward(&self, x: &[f64], _weights: &[&[f64]]) -> Vec<f64> {
        reference::forward(self, x)
    }

    fn reference_backward(&self, x: &[f64], _weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        (reference::backward(self, x, dy), Vec::new())
    }

    fn cpu_forward(&self, images: Images, _weights: &[&[f32]], output: &mut [f32], moments: Option<&mut Moments>) {
        cpu::forward(self, images, output, moments);
    }

    fn cpu_prepare_backward(&self, _weights: &[&[f32]], _prepared: &mut [f32]) {}

    fn cpu_backward(
        &self,
        images: Images,
        _weights: &[&[f32]],
        _prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        _weight_gradients: Option<&mut [&mut [f32]]>,
    ) {
        if let Some(gradients) = segment_gradients {
            cpu::backward(self, images, output_gradient, gradients);
        }
    }
}
