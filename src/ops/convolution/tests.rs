use super::cpu::{backward, forward, prepare_backward};
use crate::ops::Convolution;
use crate::ops::cases::{CASES, Case, Stage, assert_padding_is_zero, check_moments, dense_weights, to_f64};
use crate::ops::input::{Input, Moments, OutputGradient, Segment, SegmentGradient};
use crate::ops::plain;
use crate::simd::{Level, Scratch};
use crate::tensor::{Shape, padded_channels};

fn operation(case: &Case) -> Convolution {
    let input = Shape::new(case.size.0, case.size.1, case.segments.iter().sum());
    Convolution { window: case.window, input, output: case.window.output_shape(input, case.outputs) }
}

#[test]
fn every_level_agrees_with_the_formula_forward() {
    for case in CASES {
        let mut stage = Stage::new(case);
        let weights = dense_weights(&mut stage.generator, case.window.taps(), case.segments, case.outputs);
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: case.relu };
        let (_, x) = plain::normalized(&input, case.images, case.size);
        let expected = plain::convolution(&case.window, &x, &to_f64(&weights), padded_channels(case.outputs));
        for level in Level::available() {
            let mut output = vec![f32::NAN; expected.values.len()];
            let mut moments = Moments::new(expected.channels);
            let scratch = &mut Scratch::default();
            forward(level, &operation(case), &input, case.images, &weights, &mut output, Some(&mut moments), scratch);
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
        let weights = dense_weights(&mut stage.generator, case.window.taps(), case.segments, case.outputs);
        let mut prepared = vec![0.0; weights.len()];
        prepare_backward(&operation(case), &weights, &mut prepared);
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: case.relu };
        let (_, x) = plain::normalized(&input, case.images, case.size);
        let size = (case.window.output_size(case.size.0), case.window.output_size(case.size.1));
        let dy = plain::output_gradient(&stage.output_gradient(), case.images, size, padded_channels(case.outputs));
        let (dx, dw) = plain::convolution_backward(&case.window, &x, &to_f64(&weights), &dy);
        for level in Level::available() {
            let mut gradient = vec![f32::NAN; weights.len()];
            let mut run = |input: &Input, gradients: Option<&mut [SegmentGradient<'_>]>| {
                let (op, dy) = (operation(case), stage.output_gradient());
                let scratch = &mut Scratch::default();
                backward(level, &op, input, case.images, &prepared, dy, gradients, &mut gradient, scratch);
            };
            stage.check_segment_gradients(&dx, |input, gradients| run(input, Some(gradients)), 1e-6);
            run(&input, None);
            let error = plain::error(&gradient, &dw);
            assert!(error <= 2e-6, "{level} {case:?}: {error}");
        }
    }
}

#[test]
fn a_network_input_has_four_stored_channels() {
    let case = Case { segments: &[4], outputs: 24, ..CASES[0] };
    let op = Convolution { input: Shape::new(8, 8, 3), ..operation(&case) };
    let stage = Stage::new(&case);
    let mut generator = stage.generator;
    let pixels = generator.maps(2 * 64, 3, 4);
    let mut weights: Vec<f32> = generator.numbers(9 * 4 * 24);
    weights.chunks_exact_mut(4 * 24).for_each(|tap| tap[3 * 24..].fill(0.0));
    let segments = [Segment { values: &pixels, channels: 4, normalize: None }];
    let input = Input { segments: &segments, relu: false };
    let (_, x) = plain::normalized(&input, 2, (8, 8));
    let expected = plain::convolution(&case.window, &x, &to_f64(&weights), 24);
    let dy = plain::Maps { values: to_f64(&stage.dz), ..expected.clone() };
    let (_, dw) = plain::convolution_backward(&case.window, &x, &to_f64(&weights), &dy);
    for level in Level::available() {
        let scratch = &mut Scratch::default();
        let mut output = vec![0.0; expected.values.len()];
        forward(level, &op, &input, 2, &weights, &mut output, None, scratch);
        assert!(plain::error(&output, &expected.values) <= 1e-6);
        let mut gradient = vec![0.0; weights.len()];
        let dy = OutputGradient { dz: &stage.dz, y: &[], normalize: None };
        backward(level, &op, &input, 2, &[], dy, None, &mut gradient, scratch);
        assert!(plain::error(&gradient, &dw) <= 1e-6);
    }
}

#[test]
fn an_image_has_the_same_bits_in_every_chunk_and_after_any_other_call() {
    for case in CASES {
        let mut stage = Stage::new(case);
        let weights = dense_weights(&mut stage.generator, case.window.taps(), case.segments, case.outputs);
        for level in Level::available() {
            let scratch = &mut Scratch::default();
            let mut run = |images: std::ops::Range<usize>| {
                let count = images.len();
                let segments = stage.segments_of(images);
                let input = Input { segments: &segments, relu: case.relu };
                let mut output = vec![0.0; stage.dz.len() / case.images * count];
                forward(level, &operation(case), &input, count, &weights, &mut output, None, scratch);
                output
            };
            let together = run(0..2);
            let apart = [run(0..1), run(1..2)].concat();
            assert_eq!(together, apart, "{level} {case:?}");
        }
    }
}
