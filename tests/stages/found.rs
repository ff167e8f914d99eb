//! What an implementation computed, under the names and in the layout of the golden tensors.

use crate::channels::Channels;
use crosstalk::network::Layout;
use crosstalk::tensor::{Real, Shape};
use crosstalk::tensors::{Tensor, Values};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Found(pub BTreeMap<String, Tensor>);

impl Found {
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: impl IntoIterator<Item = f64>) {
        self.0.insert(name.into(), Tensor { shape, values: Values::F64(values.into_iter().collect()) });
    }

    /// One number a channel.
    pub fn vector<T: Real>(&mut self, name: impl Into<String>, channels: &Channels, values: &[T]) {
        let logical = channels.positions.iter().map(|at| values[*at].to_f64());
        self.insert(name, vec![channels.positions.len()], logical);
    }

    /// A feature map; `shape` gives its height and width.
    pub fn maps<T: Real>(&mut self, name: impl Into<String>, shape: Shape, channels: &Channels, values: &[T]) {
        let (logical, pixels) = (channels.positions.len(), shape.pixels());
        let images = values.len() / pixels / channels.stored;
        let dimensions = vec![images, logical, shape.height, shape.width];
        let at = |index: usize| values[channels.index(index, logical, pixels)].to_f64();
        self.insert(name, dimensions, (0..images * logical * pixels).map(at));
    }

    /// The gradient of a parameter, from its place in a bank.
    pub fn parameter<T: Real>(&mut self, name: &str, layout: &Layout, bank: &[T]) {
        let values = layout.bank_positions().into_iter().map(|at| bank[at].to_f64());
        self.insert(gradient_name(name), layout.shape(), values);
    }

    pub fn correct(&mut self, correct: usize) {
        self.0.insert("correct".into(), Tensor { shape: vec![1], values: Values::I64(vec![correct as i64]) });
    }
}

/// `weight_gradient.0` of `weight.0`.
pub fn gradient_name(name: &str) -> String {
    match name.split_once('.') {
        Some((base, index)) => format!("{base}_gradient.{index}"),
        None => format!("{name}_gradient"),
    }
}
