//! Stages on the CPU kernels. Channels are padded, as they are stored.

mod head;
mod inputs;
mod linear;
mod node;

use crate::case::{Case, Kind};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::network::Layout;
use crosstalk::simd::Level;
use std::ops::Range;

/// A stage with its inputs and weights in place, run as often as wanted.
pub trait Stage {
    /// The forward pass of some images; all numbers that it leaves are of these.
    fn forward(&mut self, images: Range<usize>);

    /// What the forward pass of all images left: first of all numbers of an image.
    fn output(&self) -> &[f32];

    /// The backward pass of all images after their forward pass; input gradients overwrite, or are added to the inputs themselves.
    fn backward(&mut self, accumulate: bool);

    /// All that both passes left.
    fn record(&self, found: &mut Found);
}

/// The stage, its forward pass done.
pub fn prepare<'a>(level: Level, given: &'a Given) -> Box<dyn Stage + 'a> {
    match given.case.operation {
        Kind::Node => Box::new(node::Node::prepare(level, given)),
        Kind::Head => Box::new(head::Head::prepare(level, given)),
        _ => Box::new(linear::Linear::prepare(level, given)),
    }
}

pub fn run(level: Level, given: &Given, accumulate: bool) -> Found {
    let mut stage = prepare(level, given);
    stage.backward(accumulate);
    let mut found = Found::default();
    stage.record(&mut found);
    found
}

/// A stage's weights with their places, and their gradients.
struct Weights {
    names: Vec<(&'static str, Layout)>,
    values: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl Weights {
    fn new(given: &Given) -> Self {
        let names = given.case.weights();
        let values: Vec<Vec<f32>> = names.iter().map(|(name, layout)| bank(given, name, layout)).collect();
        let gradients = values.iter().map(|values| unwritten(values.len())).collect();
        Self { names, values, gradients }
    }

    fn record(&self, found: &mut Found) {
        for ((name, layout), gradient) in self.names.iter().zip(&self.gradients) {
            found.parameter(name, layout, gradient);
        }
    }
}

/// A given parameter in the bank's layout.
fn bank(given: &Given, name: &str, layout: &Layout) -> Vec<f32> {
    let mut bank = vec![0.0; layout.bank_len()];
    let values: Vec<f32> = given.vector(name);
    layout.bank_positions().into_iter().zip(values).for_each(|(position, value)| bank[position] = value);
    bank
}

/// Numbers that show where they were not overwritten.
fn unwritten(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// A feature map, its padding looked at.
fn record_maps(
    found: &mut Found,
    name: &str,
    case: &Case,
    shape: crosstalk::tensor::Shape,
    channels: &Channels,
    values: &[f32],
) {
    channels.assert_padding_is_zero(values, &format!("{case}, {name}"));
    found.maps(name, shape, channels, values);
}
