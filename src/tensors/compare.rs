//! How far two files of tensors lie apart.

use super::{Tensor, TensorFile, Values};

/// Part of the norm of all tensors below which a tensor's own norm does not count, so that one that is nearly zero has no huge relative error.
const NORM_FLOOR: f64 = 1e-6;

/// What [`compare`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Tensors of the same name and shape, by name.
    pub differences: Vec<TensorDifference>,
    /// Names of the same tensor with two shapes, and these shapes.
    pub other_shape: Vec<(String, Vec<usize>, Vec<usize>)>,
    pub only_in_first: Vec<String>,
    pub only_in_second: Vec<String>,
}

/// The distance between two tensors of the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorDifference {
    pub name: String,
    pub shape: Vec<usize>,
    /// `||a - b||2 / max(||b||2, 1e-6 * ||all||2)`, where `all` are the floating-point tensors of the second file. Infinite if a value is
    /// not finite in one of them and another value, or none, in the other.
    pub relative_error: f64,
    /// Largest `|a - b|`; infinite as above.
    pub largest_difference: f64,
}

impl Comparison {
    /// Whether both hold the same names and shapes, and every relative error is at most `tolerance`.
    pub fn agrees_within(&self, tolerance: f64) -> bool {
        let same_layout =
            self.other_shape.is_empty() && self.only_in_first.is_empty() && self.only_in_second.is_empty();
        same_layout && self.differences.iter().all(|difference| difference.relative_error <= tolerance)
    }
}

/// Compares `first` with `second`, the one taken for right, in f64; number types may differ.
pub fn compare(first: &TensorFile, second: &TensorFile) -> Comparison {
    let floating = second.tensors.values().filter(|tensor| !matches!(tensor.values, Values::I64(_)));
    let norm_of_all = norm(floating.flat_map(|tensor| tensor.values.iter_f64()));
    let mut comparison =
        Comparison { differences: vec![], other_shape: vec![], only_in_first: vec![], only_in_second: vec![] };
    for (name, a) in &first.tensors {
        match second.tensors.get(name) {
            None => comparison.only_in_first.push(name.clone()),
            Some(b) if a.shape != b.shape => {
                comparison.other_shape.push((name.clone(), a.shape.clone(), b.shape.clone()));
            }
            Some(b) => comparison.differences.push(difference(name, a, b, norm_of_all)),
        }
    }
    comparison.only_in_second =
        second.tensors.keys().filter(|name| !first.tensors.contains_key(*name)).cloned().collect();
    comparison
}

fn difference(name: &str, a: &Tensor, b: &Tensor, norm_of_all: f64) -> TensorDifference {
    let distances = distances(&a.values, &b.values);
    let largest_difference = distances.iter().copied().fold(0.0, f64::max);
    let relative_error = match largest_difference {
        0.0 => 0.0,
        f64::INFINITY => f64::INFINITY,
        // The squares of tiny differences may vanish, which must not make the tensors equal.
        _ => {
            let scale = norm(b.values.iter_f64()).max(NORM_FLOOR * norm_of_all);
            (norm(distances.into_iter()) / scale).max(f64::MIN_POSITIVE)
        }
    };
    TensorDifference { name: name.to_string(), shape: a.shape.clone(), relative_error, largest_difference }
}

/// `|a - b|` of every value: 0 for equal values, infinity and NaN included; infinite where only one is not finite.
fn distances(a: &Values, b: &Values) -> Vec<f64> {
    if let (Values::I64(a), Values::I64(b)) = (a, b) {
        return a.iter().zip(b).map(|(a, b)| a.abs_diff(*b) as f64).collect();
    }
    let distance = |(a, b): (f64, f64)| match a == b || a.is_nan() && b.is_nan() {
        true => 0.0,
        false if a.is_finite() && b.is_finite() => (a - b).abs(),
        false => f64::INFINITY,
    };
    a.iter_f64().zip(b.iter_f64()).map(distance).collect()
}

/// The Euclidean norm of the finite values.
fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|value| value.is_finite()).map(|value| value * value).sum::<f64>().sqrt()
}
