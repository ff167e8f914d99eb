use super::cpu::{WeightGradients, Weights, backward, forward, prepare_backward};
use crate::ops::cases::{
    CASES, Case, Stage, assert_padding_is_zero, check_moments, dense_weights, depthwise_weights, to_f64,
};
use crate::ops::input::{Input, Moments, SegmentGradient};
use crate::ops::{DepthwiseSeparable, Window, plain};
use crate::simd::{Level, Scratch};
use crate::tensor::{Shape, padded_channels};

const POINT: Window = Window::same(1, 1, 1);

fn operation(case: &Case) -> DepthwiseSeparable {
    let input = Shape::new(case.size.0, case.size.1, case.segments.iter().sum());
    DepthwiseSeparable { window: case.window, input, output: case.window.output_shape(input, case.outputs) }
}

fn weights(stage: &mut Stage) -> (Vec<f32>, Vec<f32>) {
    let case = stage.case;
    let depthwise = depthwise_weights(&mut stage.generator, case.window.taps(), case.segments);
    (depthwise, dense_weights(&mut stage.generator, 1, case.segments, case.outputs))
}

#[test]
fn every_level_agrees_with_the_formula_forward() {
    for case in CASES {
        let mut stage = Stage::new(case);
        let (depthwise, pointwise) = weights(&mut stage);
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: case.relu };
        let (_, x) = plain::normalized(&input, case.images, case.size);
        let h = plain::convolution(&case.window, &x, &plain::diagonal(&to_f64(&depthwise), x.channels), x.channels);
        let expected = plain::convolution(&POINT, &h, &to_f64(&pointwise), padded_channels(case.outputs));
        for level in Level::available() {
            let mut output = vec![f32::NAN; expected.values.len()];
            let mut moments = Moments::new(expected.channels);
            let weights = Weights { depthwise: &depthwise, pointwise: &pointwise };
            let (op, scratch) = (operation(case), &mut Scratch::default());
            forward(level, &op, &input, case.images, weights, &mut output, Some(&mut moments), scratch);
            let error = plain::error(&output, &expected.values);
            assert!(error <= 1e-6, "{level} {case:?}: {error}");
            assert_padding_is_zero(&output, case.outputs);
            check_moments(&moments, &output);
        }
    }
}

#[test]
fn every_level_agrees_with_the_formula_backward() {
    for case in CASES {
        let mut stage = Stage::new(case);
        let (depthwise, pointwise) = weights(&mut stage);
        let weights = Weights { depthwise: &depthwise, pointwise: &pointwise };
        let mut prepared = vec![0.0; depthwise.len() + pointwise.len()];
        prepare_backward(&operation(case), weights, &mut prepared);
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: case.relu };
        let (_, x) = plain::normalized(&input, case.images, case.size);
        let filter = plain::diagonal(&to_f64(&depthwise), x.channels);
        let h = plain::convolution(&case.window, &x, &filter, x.channels);
        let outputs = padded_channels(case.outputs);
        let dy = plain::output_gradient(&stage.output_gradient(), case.images, (h.height, h.width), outputs);
        let (dh, d_pointwise) = plain::convolution_backward(&POINT, &h, &to_f64(&pointwise), &dy);
        let (dx, d_filter) = plain::convolution_backward(&case.window, &x, &filter, &dh);
        let diagonal = |at: usize| d_filter[at * x.channels + at % x.channels];
        let d_depthwise: Vec<f64> = (0..depthwise.len()).map(diagonal).collect();
        for level in Level::available() {
            let (mut d, mut p) = (vec![f32::NAN; depthwise.len()], vec![f32::NAN; pointwise.len()]);
            let mut run = |input: &Input, gradients: Option<&mut [SegmentGradient<'_>]>| {
                let (op, dy, scratch) = (operation(case), stage.output_gradient(), &mut Scratch::default());
                let to = WeightGradients { depthwise: &mut d, pointwise: &mut p };
                backward(level, &op, input, case.images, weights, &prepared, dy, gradients, to, scratch);
            };
            stage.check_segment_gradients(&dx, |input, gradients| run(input, Some(gradients)), 1e-6);
            run(&input, None);
            let errors = (plain::error(&d, &d_depthwise), plain::error(&p, &d_pointwise));
            assert!(errors.0 <= 2e-6 && errors.1 <= 2e-6, "{level} {case:?}: {errors:?}");
        }
    }
}

#[test]
fn an_image_has_the_same_bits_in_every_chunk() {
    for case in CASES {
        let mut stage = Stage::new(case);
        let (depthwise, pointwise) = weights(&mut stage);
        let weights = Weights { depthwise: &depthwise, pointwise: &pointwise };
        for level in Level::available() {
            let scratch = &mut Scratch::default();
            let mut run = |images: std::ops::Range<usize>| {
                let count = images.len();
                let segments = stage.segments_of(images);
                let input = Input { segments: &segments, relu: case.relu };
                let mut output = vec![0.0; stage.dz.len() / case.images * count];
                forward(level, &operation(case), &input, count, weights, &mut output, None, scratch);
                output
            };
            assert_eq!(run(0..2), [run(0..1), run(1..2)].concat(), "{level} {case:?}");
        }
    }
}
