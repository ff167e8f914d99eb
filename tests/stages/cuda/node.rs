//! Sums of gated terms.

use super::plain::Plain;
use super::rounded::check_in_bf16;
use super::{On, check_against_the_reference};
use crate::case::Kind;
use crosstalk::ops::cuda::{Geometry, Storage};
use crosstalk::ops::node::cuda::kernels;
use crosstalk::tensor::Shape;

#[test]
fn the_kernels_of_nodes_agree_with_the_reference() {
    check_against_the_reference(On::Emulator, |kind| kind == Kind::Node);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_nodes_agree_with_the_reference() {
    check_against_the_reference(On::Gpu, |kind| kind == Kind::Node);
}

#[test]
fn the_kernels_of_nodes_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Emulator, |kind| kind == Kind::Node);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_nodes_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Gpu, |kind| kind == Kind::Node);
}

/// Output and gradients of small whole numbers.
fn run(on: On, values: &[Vec<f32>], terms: &[(usize, f32)], dnode: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let geometry = Geometry::of_pixels(Shape::new(5, 3, 24), 2, 24);
    let kernels = kernels(&geometry, terms.len(), terms.len(), Storage::F32);
    Plain { kernels, kind: 0, values, terms, output_gradient: dnode }.run(on)
}

fn whole_numbers(factor: usize) -> Vec<f32> {
    (0..2 * 5 * 3 * 24).map(|i| (i * factor % 17) as f32).collect()
}

fn check_a_value_twice(on: On) {
    let (values, dnode) = ([whole_numbers(3), whole_numbers(5)], whole_numbers(7));
    let (output, gradients) = run(on, &values, &[(0, 0.5), (1, 2.0), (0, 0.25)], &dnode);
    let expected: Vec<f32> = values[0].iter().zip(&values[1]).map(|(a, b)| 0.75 * a + 2.0 * b).collect();
    assert_eq!(output, expected);
    for (gradient, gate) in gradients.iter().zip([0.75, 2.0]) {
        assert_eq!(*gradient, dnode.iter().map(|d| gate * d).collect::<Vec<f32>>());
    }
}

fn check_no_terms(on: On) {
    let (output, _) = run(on, &[], &[], &whole_numbers(7));
    assert_eq!(output, vec![0.0; output.len()]);
}

#[test]
fn a_value_that_is_a_term_twice_gets_both_gradients() {
    check_a_value_twice(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_a_value_that_is_a_term_twice_gets_both_gradients() {
    check_a_value_twice(On::Gpu);
}

#[test]
fn a_node_without_terms_is_zero() {
    check_no_terms(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_a_node_without_terms_is_zero() {
    check_no_terms(On::Gpu);
}
