use super::cpu::{ClassifierGradients, Head, Outputs, backward, forward};
use crate::ops::cases::{Case, Stage};
use crate::ops::input::Input;
use crate::ops::{Window, plain};
use crate::simd::{Level, Scratch};

const LABELS: [u32; 3] = [2, 0, 4];
const CLASSES: usize = 5;

#[test]
fn every_level_agrees_with_the_formula() {
    for (segments, size) in [(&[16, 16][..], (8, 8)), (&[8][..], (7, 3)), (&[5, 12][..], (9, 9)), (&[32][..], (1, 1))] {
        let window = Window::same(1, 1, 1);
        let mut stage = Stage::new(&Case { window, size, segments, outputs: 8, relu: true, images: 3 });
        let (weights, bias) = {
            let stored: usize = stage.segments().iter().map(|segment| segment.channels).sum();
            (stage.generator.numbers(CLASSES * stored), stage.generator.numbers(CLASSES))
        };
        let segments = stage.segments();
        let input = Input { segments: &segments, relu: true };
        let (_, x) = plain::normalized(&input, 3, size);
        let (count, pixels) = (x.channels, size.0 * size.1);
        let mut pooled = vec![0.0; 3 * count];
        for (at, value) in x.values.iter().enumerate() {
            pooled[at / (pixels * count) * count + at % count] += value / pixels as f64;
        }
        let (mut losses, mut d_bias, mut d_weights) = (vec![], vec![0.0; CLASSES], vec![0.0; weights.len()]);
        let mut dx = plain::Maps { values: vec![0.0; x.values.len()], ..x.clone() };
        for (image, &label) in LABELS.iter().enumerate() {
            let features = &pooled[image * count..][..count];
            let logit = |class: usize| -> f64 {
                let row = &weights[class * count..][..count];
                f64::from(bias[class]) + row.iter().zip(features).map(|(&w, f)| f64::from(w) * f).sum::<f64>()
            };
            let total: f64 = (0..CLASSES).map(|class| logit(class).exp()).sum();
            losses.push(total.ln() - logit(label as usize));
            for class in 0..CLASSES {
                let target = if class == label as usize { 1.0 } else { 0.0 };
                let d = (logit(class).exp() / total - target) / 3.0;
                d_bias[class] += d;
                for f in 0..count {
                    d_weights[class * count + f] += d * features[f];
                    for pixel in 0..pixels {
                        let weight = f64::from(weights[class * count + f]);
                        dx.values[(image * pixels + pixel) * count + f] += d * weight / pixels as f64;
                    }
                }
            }
        }
        let head = Head { height: size.0, width: size.1, classes: CLASSES };
        for level in Level::available() {
            let (mut features, mut logits) = (vec![0.0; 3 * count], vec![0.0; 3 * CLASSES]);
            let (mut loss, mut predictions) = ([0.0; 3], [9; 3]);
            let mut outputs = Outputs {
                features: &mut features,
                logits: &mut logits,
                losses: &mut loss,
                predictions: &mut predictions,
            };
            let scratch = &mut Scratch::default();
            forward(level, &head, &input, 3, &weights, &bias, &LABELS, &mut outputs, scratch);
            assert!(plain::error(outputs.losses, &losses) <= 1e-6);
            let (mut dw, mut db) = (vec![f32::NAN; weights.len()], vec![f32::NAN; CLASSES]);
            stage.check_segment_gradients(
                &dx,
                |input, targets| {
                    let to = ClassifierGradients { weights: &mut dw, bias: &mut db };
                    let scale = 1.0 / 3.0;
                    backward(level, &head, input, 3, &weights, &LABELS, &outputs, scale, targets, to, scratch);
                },
                2e-6,
            );
            assert!(plain::error(&dw, &d_weights) <= 1e-6 && plain::error(&db, &d_bias) <= 1e-6);
        }
    }
}

#[test]
fn the_first_class_with_the_largest_logit_is_predicted() {
    let stage = Stage::new(&Case {
        window: Window::same(1, 1, 1),
        size: (2, 2),
        segments: &[8],
        outputs: 8,
        relu: true,
        images: 1,
    });
    let segments = stage.segments();
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
