//! Linear operations on a backend's numbers.

use super::numbers::{Numbers, Operand, Stored, Sums, magnitudes};
use crate::ops::cuda::{Geometry, Storage};
use crate::ops::{Filtering, Operation};
use crate::plan::StageId;
use crate::tensor::padded_channels;

/// What an operation computes of an input and weights after what it filters.
struct Product {
    operation: Operation,
    x: Vec<f64>,
    weights: Vec<Vec<f64>>,
    /// Whether weights and the output's gradient are rounded.
    rounds: bool,
}

/// What numbers that round are to be filtered by.
fn filtering<N: Numbers>(operation: &Operation) -> Option<&dyn Filtering> {
    operation.linear().filtering().filter(|_| !N::EXACT)
}

/// Whether its kernels do nothing but multiply; others take weights and gradients as they are.
fn multiplies(operation: &Operation) -> bool {
    let geometry = Geometry::of_operation(operation, 1, padded_channels(operation.input().channels));
    operation.linear().kernels(&geometry, false, Storage::Bf16).forward.flops.others == 0
}

impl Product {
    /// `x` is rounded.
    fn new<N: Numbers>(numbers: &N, operation: &Operation, x: &[f64], weights: &[Vec<f64>]) -> Self {
        if let Some(filtering) = filtering::<N>(operation) {
            let x = numbers.operand(Operand::Filtered, filtering.filter(x, &weights[0]));
            return Self::new(numbers, &filtering.product(), &x, &weights[1..]);
        }
        let rounds = !N::EXACT && multiplies(operation);
        let operand = |weights: &Vec<f64>| match rounds {
            true => numbers.operand(Operand::Weights, weights.clone()),
            false => weights.clone(),
        };
        Self { operation: *operation, x: x.to_vec(), weights: weights.iter().map(operand).collect(), rounds }
    }

    fn forward(&self, x: &[f64], weights: &[Vec<f64>]) -> Vec<f64> {
        self.operation.linear().reference_forward(x, &slices(weights))
    }
}

fn slices(weights: &[Vec<f64>]) -> Vec<&[f64]> {
    weights.iter().map(Vec::as_slice).collect()
}

fn absolute(weights: &[Vec<f64>]) -> Vec<Vec<f64>> {
    weights.iter().map(|weight| magnitudes(weight)).collect()
}

/// The raw output of an input that is rounded, with weights in PyTorch's order.
pub fn forward<N: Numbers>(numbers: &N, operation: &Operation, x: &[f64], weights: &[Vec<f64>]) -> Sums {
    let product = Product::new(numbers, operation, x, weights);
    let values = product.forward(&product.x, &product.weights);
    Sums::new::<N>(values, || product.forward(&magnitudes(&product.x), &absolute(&product.weights)))
}

/// Gradients of the input and of every weight, from that of the raw output.
pub fn backward<N: Numbers>(
    numbers: &mut N,
    stage: StageId,
    operation: &Operation,
    x: &[f64],
    weights: &[Vec<f64>],
    dy: Vec<f64>,
) -> (Sums, Vec<Sums>) {
    let product = Product::new(numbers, operation, x, weights);
    let dy = if product.rounds { numbers.operand(Operand::OutputGradient, dy) } else { dy };
    let of_product = |x: &[f64], weights: &[Vec<f64>], dy: &[f64]| {
        product.operation.linear().reference_backward(x, &slices(weights), dy)
    };
    let (dx, dw) = sums::<N>(of_product, &product.x, &product.weights, &dy);
    let Some(filtering) = filtering::<N>(operation) else { return (dx, dw) };
    let dh = numbers.stored(Stored::FilteredGradient(stage), dx);
    let of_filter = |x: &[f64], weights: &[Vec<f64>], dh: &[f64]| {
        let (dx, dw) = filtering.filter_backward(x, &weights[0], dh);
        (dx, vec![dw])
    };
    let (dx, mut all_dw) = sums::<N>(of_filter, x, &weights[..1], &dh);
    all_dw.extend(dw);
    (dx, all_dw)
}

/// What `backward` computes of an input, weights and the output's gradient, with magnitudes.
fn sums<N: Numbers>(
    backward: impl Fn(&[f64], &[Vec<f64>], &[f64]) -> (Vec<f64>, Vec<Vec<f64>>),
    x: &[f64],
    weights: &[Vec<f64>],
    dy: &[f64],
) -> (Sums, Vec<Sums>) {
    let (dx, dw) = backward(x, weights, dy);
    let (mut large_dx, mut large_dw) = (Vec::new(), vec![Vec::new(); dw.len()]);
    if !N::EXACT {
        let (weights, dy) = (absolute(weights), magnitudes(dy));
        // Which taps of a maximum have a gradient, the signs of its input decide.
        (large_dx, _) = backward(x, &weights, &dy);
        (_, large_dw) = backward(&magnitudes(x), &weights, &dy);
    }
    let dw = dw.into_iter().zip(large_dw).map(|(values, magnitudes)| Sums { values, magnitudes });
    (Sums { values: dx, magnitudes: large_dx }, dw.collect())
}
