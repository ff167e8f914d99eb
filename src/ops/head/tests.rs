use super::cpu::{Head, Outputs, forward};
use crate::ops::input::{Input, Segment};
use crate::simd::{Level, Scratch};

const CLASSES: usize = 5;

#[test]
fn the_first_class_with_the_largest_logit_is_predicted() {
    let segments = [Segment { values: &[0.5; 4 * 8], channels: 8, normalize: None }];
    let input = Input { segments: &segments, relu: true };
    let head = Head { height: 2, width: 2, classes: CLASSES };
    let (mut features, mut logits, mut losses, mut predictions) = ([0.0; 8], [0.0; CLASSES], [0.0], [9]);
    let mut outputs =
        Outputs { features: &mut features, logits: &mut logits, losses: &mut losses, predictions: &mut predictions };
    let (weights, bias) = ([0.0; 8 * CLASSES], [0.0, 1.0, 0.5, 1.0, 0.0]);
    let scratch = &mut Scratch::default();
    forward(Level::Portable, &head, &input, 1, &weights, &bias, &[1], &mut outputs, scratch);
    assert_eq!(predictions, [1]);
}
