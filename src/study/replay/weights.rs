//! Tensors by name: gradients, and the state after the last step.

use super::Comparison;
use crate::network::{Network, Tensors};
use crate::tensors::{TensorFile, compare};
use std::collections::BTreeMap;

const COUNTER: &str = "num_batches_tracked";

/// Adds the error of every tensor in the order of the network. A tensor that only one side has, or that has two shapes, deviates infinitely;
/// so does a counter that is not the same.
pub fn add_tensors(comparison: &mut Comparison, network: &Network, found: Tensors, expected: Tensors, suffix: &str) {
    let file = |tensors| TensorFile { tensors, ..TensorFile::default() };
    let result = compare(&file(found), &file(expected));
    let mut rows: Vec<(String, f64, String)> = Vec::new();
    for difference in result.differences {
        let counts = difference.name.ends_with(COUNTER) && difference.largest_difference > 0.0;
        let size = if counts { f64::INFINITY } else { difference.relative_error };
        let [relative, absolute] = [difference.relative_error, difference.largest_difference];
        let detail = format!("the largest difference is {absolute:.1e}, the relative error {relative:.1e}");
        rows.push((difference.name, size, detail));
    }
    for (name, found, expected) in result.other_shape {
        rows.push((name, f64::INFINITY, format!("shape {found:?} here, {expected:?} in the trace")));
    }
    let only_here = result.only_in_first.into_iter().map(|name| (name, "here, but not in the trace"));
    let only_there = result.only_in_second.into_iter().map(|name| (name, "in the trace, but not here"));
    rows.extend(only_here.chain(only_there).map(|(name, side)| (name, f64::INFINITY, side.to_owned())));
    let order: BTreeMap<&str, usize> = (0..).zip(&network.parameters).map(|(at, p)| (p.name.as_str(), at)).collect();
    rows.sort_by_cached_key(|(name, ..)| {
        let shared = name.split('@').next().unwrap_or(name).replace(COUNTER, "running_mean");
        (order.get(shared.as_str()).copied().unwrap_or(usize::MAX), name.clone())
    });
    for (name, size, detail) in rows {
        comparison.add(size, || (format!("{name}{suffix}"), detail));
    }
}

/// Takes away our counters if the trace has none: PyTorch before 1.0 wrote none.
pub fn without_counters_of_old(mut found: Tensors, expected: &Tensors) -> Tensors {
    if !expected.keys().any(|name| name.ends_with(COUNTER)) {
        found.retain(|name, _| !name.ends_with(COUNTER));
    }
    found
}
