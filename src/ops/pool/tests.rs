use super::cpu::{backward, forward};
use crate::ops::cases::{CASES, Case, Stage, check_moments};
use crate::ops::input::{Input, Moments, OutputGradient, Segment, SegmentGradient};
use crate::ops::plain::{self, Maps};
use crate::ops::{Pool, PoolKind, Window};
use crate::simd::{Level, Scratch};
use crate::tensor::Shape;

fn operation(kind: PoolKind, case: &Case) -> Pool {
    let channels = case.segments.iter().sum();
    let input = Shape::new(case.size.0, case.size.1, channels);
    Pool { kind, window: case.window, input, output: case.window.output_shape(input, channels) }
}

/// Output, and the input gradient from `dy` (all ones where none is given).
fn formula(kind: PoolKind, window: &Window, x: &Maps, dy: Option<&Maps>) -> (Maps, Maps) {
    let size = (window.output_size(x.height), window.output_size(x.width));
    let mut y = Maps::zero(x.images, size, x.channels);
    let mut dx = Maps::zero(x.images, (x.height, x.width), x.channels);
    for (image, row, column) in y.pixels() {
        for c in 0..x.channels {
            let seen: Vec<usize> = plain::taps(window)
                .filter_map(|(_, tap)| plain::seen(window, x, (row, column), tap))
                .map(|(from_row, from_column)| x.index(image, from_row, from_column, c))
                .collect();
            let at = y.index(image, row, column, c);
            let gradient = dy.map_or(1.0, |dy| dy.values[at]);
            match kind {
                PoolKind::Max => {
                    let mut first = seen[0];
                    for &tap in &seen {
                        if x.values[tap] > x.values[first] || x.values[tap].is_nan() {
                            first = tap;
                        }
                    }
                    y.values[at] = x.values[first];
                    dx.values[first] += gradient;
                }
                PoolKind::Average => {
                    for &tap in &seen {
                        y.values[at] += x.values[tap] / seen.len() as f64;
                        dx.values[tap] += gradient / seen.len() as f64;
                    }
                }
            }
        }
    }
    (y, dx)
}

/// Cases without ReLU: it would tie most windows, which have a test of their own.
fn cases() -> impl Iterator<Item = (PoolKind, Case)> {
    CASES.iter().flat_map(|case| {
        let case = Case { relu: false, outputs: case.segments.iter().sum(), ..*case };
        [(PoolKind::Max, case), (PoolKind::Average, case)]
    })
}

fn stored(case: &Case) -> usize {
    case.segments.iter().map(|&logical| crate::tensor::padded_channels(logical)).sum()
}

#[test]
fn every_level_agrees_with_the_formula() {
    for (kind, case) in cases() {
        let mut stage = Stage::new(&case);
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: false };
        let (_, x) = plain::normalized(&input, case.images, case.size);
        let (y, _) = formula(kind, &case.window, &x, None);
        drop(segments);
        stage.dz = stage.generator.numbers(y.values.len());
        let dy = Maps { values: crate::ops::cases::to_f64(&stage.dz), ..y.clone() };
        let (_, dx) = formula(kind, &case.window, &x, Some(&dy));
        for level in Level::available() {
            let scratch = &mut Scratch::default();
            let segments = stage.segments();
            let input = Input { segments: &segments, relu: false };
            let mut output = vec![f32::NAN; y.values.len()];
            let mut moments = Moments::new(stored(&case));
            let op = operation(kind, &case);
            forward(level, &op, &input, case.images, &mut output, Some(&mut moments), scratch);
            let error = plain::error(&output, &y.values);
            assert!(error <= 1e-6, "{level} {kind:?} {case:?}: {error}");
            check_moments(&moments, &output);
            let dy = OutputGradient { dz: &stage.dz, y: &[], normalize: None };
            let run = |input: &Input, gradients: &mut [SegmentGradient<'_>]| {
                backward(level, &op, input, case.images, dy, gradients, scratch);
            };
            // Padding channels tie everywhere and take gradient from `dz`; their own is checked with the stages, where `dz` is zero there.
            if case.segments.iter().all(|logical| logical % 8 == 0) {
                stage.check_segment_gradients(&dx, run, 1e-6);
            }
        }
    }
}

fn pool_of(kind: PoolKind, size: usize, values: &[f32], dz: &[f32]) -> Vec<(Vec<f32>, Vec<f32>)> {
    let input = Shape::new(size, size, 8);
    let op = Pool { kind, window: Window::same(3, 1, 1), input, output: input };
    let run = |level| {
        let scratch = &mut Scratch::default();
        let segments = [Segment { values, channels: 8, normalize: None }];
        let input = Input { segments: &segments, relu: false };
        let (mut output, mut gradient) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        forward(level, &op, &input, 1, &mut output, None, scratch);
        let dy = OutputGradient { dz, y: &[], normalize: None };
        let mut targets = [SegmentGradient { dz: &mut gradient, accumulate: false, sums: None }];
        backward(level, &op, &input, 1, dy, &mut targets, scratch);
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
