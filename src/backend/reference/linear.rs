//! Linear operations on a backend's numbers.

use super::numbers::{Numbers, Operand, Stored, Sums, magnitudes};
use crate::ops::{DepthwiseSeparable, Operation, depthwise};
use crate::plan::StageId;

/// A product of an input and weights, none of a pool.
struct Product {
    operation: Operation,
    x: Vec<f64>,
    weights: Vec<Vec<f64>>,
}

/// The outputs of a depthwise filter.
fn filtered<N: Numbers>(op: &DepthwiseSeparable, x: &[f64], weights: &[f64]) -> Vec<f64> {
    depthwise::reference::filter(op, x, weights, |sum, weight, x| match N::EXACT {
        true => sum + weight * x,
        false => f64::from((weight as f32).mul_add(x as f32, sum as f32)),
    })
}

fn absolute(weights: &[Vec<f64>]) -> Vec<Vec<f64>> {
    weights.iter().map(|weight| magnitudes(weight)).collect()
}

impl Product {
    /// What an operation multiplies: that of a depthwise-separable convolution is its pointwise one. `x` is rounded.
    fn new<N: Numbers>(numbers: &N, operation: &Operation, x: &[f64], weights: &[Vec<f64>]) -> Self {
        let rounded = |weights: &[Vec<f64>]| {
            weights.iter().map(|weight| numbers.operand(Operand::Weights, weight.clone())).collect()
        };
        match operation {
            Operation::DepthwiseSeparable(op) => {
                let x = numbers.operand(Operand::Filtered, filtered::<N>(op, x, &weights[0]));
                let operation = Operation::Convolution(depthwise::reference::pointwise(op));
                Self { operation, x, weights: rounded(&weights[1..]) }
            }
            _ => Self { operation: *operation, x: x.to_vec(), weights: rounded(weights) },
        }
    }

    fn forward(operation: &Operation, x: &[f64], weights: &[Vec<f64>]) -> Vec<f64> {
        operation.linear().reference_forward(x, &slices(weights))
    }

    fn backward(operation: &Operation, x: &[f64], weights: &[Vec<f64>], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        operation.linear().reference_backward(x, &slices(weights), dy)
    }
}

fn slices(weights: &[Vec<f64>]) -> Vec<&[f64]> {
    weights.iter().map(Vec::as_slice).collect()
}

/// The raw output of an input that is rounded, with weights in PyTorch's order.
pub fn forward<N: Numbers>(numbers: &N, operation: &Operation, x: &[f64], weights: &[Vec<f64>]) -> Sums {
    let Product { operation, x, weights } = Product::new(numbers, operation, x, weights);
    let values = Product::forward(&operation, &x, &weights);
    Sums::new::<N>(values, || Product::forward(&operation, &magnitudes(&x), &absolute(&weights)))
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
    let is_pool = weights.is_empty();
    let dy = if is_pool { dy } else { numbers.operand(Operand::OutputGradient, dy) };
    let (dx, dw) = Product::backward(&product.operation, &product.x, &product.weights, &dy);
    let (mut large_dx, mut large_dw) = (Vec::new(), vec![Vec::new(); dw.len()]);
    if !N::EXACT {
        // Which tap of a pool gets the gradient is decided by the signs, too.
        let x = if is_pool { product.x.clone() } else { magnitudes(&product.x) };
        (large_dx, large_dw) = Product::backward(&product.operation, &x, &absolute(&product.weights), &magnitudes(&dy));
    }
    let mut dw: Vec<Sums> =
        (dw.into_iter().zip(large_dw)).map(|(values, magnitudes)| Sums { values, magnitudes }).collect();
    let dx = Sums { values: dx, magnitudes: large_dx };
    let Operation::DepthwiseSeparable(op) = operation else { return (dx, dw) };
    let dh = numbers.stored(Stored::FilteredGradient(stage), dx);
    let filter_backward = depthwise::reference::filter_backward;
    let (dx, dv) = filter_backward(op, x, &weights[0], &dh);
    let (mut large_dx, mut large_dv) = (Vec::new(), Vec::new());
    if !N::EXACT {
        (large_dx, large_dv) = filter_backward(op, &magnitudes(x), &magnitudes(&weights[0]), &magnitudes(&dh));
    }
    dw.insert(0, Sums { values: dv, magnitudes: large_dv });
    (Sums { values: dx, magnitudes: large_dx }, dw)
}
