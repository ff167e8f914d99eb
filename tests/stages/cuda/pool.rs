//! Pools: what the table of cases does not say.

use super::On;
use super::plain::Plain;
use crosstalk::ops::cuda::{Geometry, Storage};
use crosstalk::ops::input::{Input, OutputGradient, Segment, SegmentGradient};
use crosstalk::ops::pool::{self, Pool, PoolKind};
use crosstalk::ops::{Images, Operation, Window};
use crosstalk::simd::{Level, Scratch};
use crosstalk::tensor::Shape;

/// NaN, which is not equal to itself, as something that is.
fn comparable(values: &[f32]) -> Vec<Option<u32>> {
    values.iter().map(|value| (!value.is_nan()).then_some(value.to_bits())).collect()
}

/// The largest taps have the CPU's bits. Of means, NaN stands where it does there, and the others differ by roundings.
fn assert_pooled_alike(kind: PoolKind, found: &[f32], expected: &[f32], op: &Pool) {
    if kind == PoolKind::Max {
        assert_eq!(comparable(found), comparable(expected), "{op:?}");
        return;
    }
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let close = (found - expected).abs() <= 1e-6 * expected.abs();
        assert!(close || found.is_nan() && expected.is_nan(), "{op:?}: {found}, on the CPU {expected}");
    }
}

fn check_ties(on: On) {
    let images = 2;
    for (kind, kernel, stride) in
        [(PoolKind::Max, 3, 1), (PoolKind::Max, 3, 2), (PoolKind::Max, 5, 3), (PoolKind::Average, 3, 2)]
    {
        let input = Shape::new(9, 7, 8);
        let window = Window::same(kernel, stride, 1);
        let op = Pool { kind, window, input, output: window.output_shape(input, 8) };
        let value = |i: usize| if i % 41 == 7 { f32::NAN } else { (i * 7 % 5) as f32 };
        let values: Vec<f32> = (0..images * input.pixels() * 8).map(value).collect();
        let dz: Vec<f32> = (0..images * op.output.pixels() * 8).map(|i| (i % 13) as f32).collect();

        let (mut output, mut gradient) = (vec![0.0; dz.len()], vec![0.0; values.len()]);
        let segments = [Segment { values: &values, channels: 8, normalize: None }];
        let (read, scratch) = (Input { segments: &segments, relu: false }, &mut Scratch::default());
        let level = Level::Portable;
        pool::cpu::forward(&op, Images { level, input: &read, count: images, scratch }, &mut output, None);
        let dy = OutputGradient { dz: &dz, y: &[], normalize: None };
        let mut targets = [SegmentGradient { dz: &mut gradient, accumulate: false, sums: None }];
        pool::cpu::backward(&op, Images { level, input: &read, count: images, scratch }, dy, &mut targets);

        let operation = Operation::from(op);
        let kernels = operation.linear().kernels(&Geometry::of_operation(&operation, images, 8), false, Storage::F32);
        let (values, terms, kind_number) = (&[values], &[(0, 1.0)], operation.linear().stage_kind());
        let plain = Plain { kernels, kind: kind_number, values, terms, output_gradient: &dz };
        let (found, found_gradients) = plain.run(on);
        for (found, expected) in [(&found, &output), (&found_gradients[0], &gradient)] {
            assert_pooled_alike(kind, found, expected, &op);
        }
    }
}

#[test]
fn ties_and_values_that_are_no_numbers_are_pooled_as_on_the_cpu() {
    check_ties(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_ties_and_values_that_are_no_numbers_are_pooled_as_on_the_cpu() {
    check_ties(On::Gpu);
}
