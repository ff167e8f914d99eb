//! What the table of cases does not say: ties, numbers that are none, borders.

use super::cpu::{backward, forward};
use crate::ops::input::{Input, OutputGradient, Segment, SegmentGradient};
use crate::ops::pool::{Pool, PoolKind};
use crate::ops::{Images, Window};
use crate::simd::{Level, Scratch};
use crate::tensor::Shape;

fn pool_of(kind: PoolKind, size: usize, values: &[f32], dz: &[f32]) -> Vec<(Vec<f32>, Vec<f32>)> {
    let input = Shape::new(size, size, 8);
    let op = Pool { kind, window: Window::same(3, 1, 1), input, output: input };
    let run = |level| {
        let scratch = &mut Scratch::default();
        let segments = [Segment { values, channels: 8, normalize: None }];
        let input = Input { segments: &segments, relu: false };
        let (mut output, mut gradient) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        forward(&op, Images { level, input: &input, count: 1, scratch }, &mut output, None);
        let dy = OutputGradient { dz, y: &[], normalize: None };
        let mut targets = [SegmentGradient { dz: &mut gradient, accumulate: false, sums: None }];
        backward(&op, Images { level, input: &input, count: 1, scratch }, dy, &mut targets);
        (output, gradient)
    };
    Level::available().into_iter().map(run).collect()
}

#[test]
fn the_first_of_equal_taps_takes_the_gradient() {
    // All pixels equal: every window gives its gradient to its first valid tap.
    for (output, gradient) in pool_of(PoolKind::Max, 3, &[2.0; 72], &[1.0; 72]) {
        assert_eq!(output, [2.0; 72]);
        let of_channel: Vec<f32> = gradient.iter().step_by(8).copied().collect();
        assert_eq!(of_channel, [4.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn a_value_that_is_not_a_number_wins_its_windows() {
    let mut values = [1.0; 72];
    values[4 * 8] = f32::NAN;
    for (output, gradient) in pool_of(PoolKind::Max, 3, &values, &[1.0; 72]) {
        assert!(output.iter().step_by(8).all(|value| value.is_nan()));
        assert_eq!(gradient[4 * 8], 9.0);
        assert_eq!(output[1], 1.0);
    }
}

#[test]
fn an_average_divides_by_the_taps_inside_the_image() {
    for (output, gradient) in pool_of(PoolKind::Average, 3, &[3.0; 72], &[36.0; 72]) {
        assert_eq!(output, [3.0; 72]);
        assert_eq!(gradient[4 * 8], 4.0 * 9.0 + 4.0 * 6.0 + 4.0);
    }
}
